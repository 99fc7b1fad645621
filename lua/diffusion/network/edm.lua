-- The networks of EDM (Karras et al. 2022) are SongUNet (DDPM++ and NCSN++) and DhariwalUNet (ADM). They
-- read c_noise; d.precondition makes denoisers of them. Parts have the paths of theirs.
local family = require "diffusion.nn.family"

local edm = { name = "edm" }

local function named(default, choices, text) return { one_of = choices, default = default, text = text } end

edm.options = family.declare(edm.name, {
  image = family.image,
  kind = named("song", { "song", "dhariwal" }, "SongUNet or DhariwalUNet"),
  out_channels = family.size(nil, 1, "channels of the result; those of the image if nil"),
  model_channels = family.size(128, 4, "channels in multiples of which the levels are counted, even"),
  channel_mult = family.sizes { default = { 2, 2, 2 }, least = 1, text = "channels of each level, in multiples of "
    .. "model_channels" },
  channel_mult_emb = family.size(4, 1, "width of the embedding, in multiples of model_channels"),
  channel_mult_noise = family.size(1, 1, "width of the waves of song, in multiples of model_channels"),
  num_blocks = family.count(4, "residual blocks of a level; one more on the way up"),
  attn_resolutions = family.sizes { default = { 16 }, text = "heights of the images at which there is attention" },
  head_channels = family.size(64, 1, "width of a head of dhariwal; song has one head"),
  embedding_type = named("positional", { "positional", "fourier" }, "waves of c_noise, of song"),
  encoder_type = named("standard", { "standard", "skip", "residual" }, "paths of smaller images, of song"),
  decoder_type = named("standard", { "standard", "skip" }, "sums of results at all sizes, of song"),
  resample_taps = { "integer", default = 2, min = 2, max = 4,
    text = "length of the filter that changes sizes: 2 for 1 1, 4 for 1 3 3 1" },
  augment_dim = { "integer", default = 0, min = 0, max = 1 << 20,
    text = "width of the input `augment`, which describes an image's augmentation; 0 for none" },
  time_offset = { "number", default = 0, text = "subtracted from t, which is c_noise" },
  classes = family.classes,
  dropout = family.dropout,
  recompute = family.recompute,
})

-- ==== checks =============================================================================

function edm.check(o)
  local factor = 1 << #o.channel_mult - 1
  for _, side in ipairs { o.image[1], o.image[2] } do
    if side % factor ~= 0 then
      family.fail("edm: image [%d,%d] can't be halved %d times: H and W must be multiples of %d; %s", o.image[1],
        o.image[2], #o.channel_mult - 1, factor, family.fitting(side, factor))
    end
  end
  if o.model_channels % 2 ~= 0 then family.fail("edm: model_channels must be even, got %d", o.model_channels) end
  if o.kind == "dhariwal" and (o.encoder_type ~= "standard" or o.decoder_type ~= "standard") then
    family.fail("edm: encoder_type = '%s' and decoder_type = '%s' are options of song", o.encoder_type, o.decoder_type)
  end
  if o.resample_taps == 3 then family.fail "edm: resample_taps is 2 or 4, got 3" end
end

function edm.inputs(o)
  local factor = 1 << #o.channel_mult - 1
  local list = family.inputs({ "B", { "H", multiple = factor }, { "W", multiple = factor }, o.image[3] }, o)
  if o.augment_dim > 0 then
    list[#list + 1] = { "augment", shape = { "B", o.augment_dim }, whole = true, optional = true }
  end
  return list
end

function edm.text(o)
  return ("%s, model channels %d, image channels %d, sides multiples of %d"):format(o.kind, o.model_channels,
    o.image[3], 1 << #o.channel_mult - 1)
end

-- ==== the embedding ======================================================================

local function with_augment(net, e, o, width)
  if o.augment_dim == 0 then return e end
  return net:add { e, net:linear("map_augment", net.augment, { inp = o.augment_dim, out = width, bias = false }) }
end

-- Classes are rows of zeros with a number of square 1, or n, as in theirs.
local function label(net, like, o, width, bias)
  local factor = o.kind == "song" and math.sqrt(o.classes) or 1
  return net:linear("map_label", net:one_hot({ like, net.class }, { classes = o.classes, factor = factor }),
    { out = width, bias = bias })
end

local function song_embedding(net, o)
  local width, wide = o.model_channels * o.channel_mult_noise, o.model_channels * o.channel_mult_emb
  local e = o.embedding_type == "fourier"
    and net:fourier("map_noise", net.t, { width = width, order = "sin_cos", offset = o.time_offset })
    or net:sinusoid(net.t, { width = width, order = "sin_cos", shift = 1, offset = o.time_offset, single = true })
  if o.classes > 0 then e = net:add { e, label(net, e, o, width, true) } end
  e = with_augment(net, e, o, width)
  e = net:silu(net:linear("map_layer0", e, { inp = width, out = wide }))
  return net:silu(net:linear("map_layer1", e, { out = wide }))
end

local function dhariwal_embedding(net, o)
  local wide = o.model_channels * o.channel_mult_emb
  local e = net:sinusoid(net.t, { width = o.model_channels, offset = o.time_offset, single = true })
  e = with_augment(net, e, o, o.model_channels)
  e = net:silu(net:linear("map_layer0", e, { inp = o.model_channels, out = wide }))
  e = net:linear("map_layer1", e, { out = wide })
  if o.classes > 0 then e = net:add { e, label(net, e, o, wide, false) } end
  return net:silu(e)
end

-- ==== blocks =============================================================================

-- The differences between the two networks' blocks.
local STYLE = {
  song = { epsilon = 1e-6, factor = math.sqrt(0.5), adaptive = false, projected = true },
  dhariwal = { epsilon = 1e-5, factor = 1, adaptive = true, projected = false },
}

local function groups(width) return math.max(1, math.min(32, width // 4)) end

-- h at half or twice its size.
local function resized(net, h, way, taps)
  if not way then return h end
  local margin = (taps - 1) // 2
  if taps == 2 then return way == "up" and net:enlarge(h) or net:avg_pool(h) end
  if way == "up" then return net:fir(h, { up = 2, taps = taps, before = taps - 1 - margin, after = margin }) end
  return net:fir(h, { down = 2, taps = taps, before = margin, after = margin })
end

local function scaled(net, h, factor) return factor == 1 and h or net:scale(h, { factor = factor }) end

-- (x + attention(norm(x))) factor
local function attended(b, x, o, style)
  local heads = o.kind == "song" and 1 or x.width // o.head_channels
  if heads < 1 then family.fail("edm: a head has %d channels, but an attention has %d", o.head_channels, x.width) end
  local y = b:group_norm("norm2", x, { groups = groups(x.width), epsilon = style.epsilon })
  return scaled(b, b:add { b:attention("attend", y, { heads = heads, fused = false }), x }, style.factor)
end

local function first_half(b, x, width, way, o, style)
  local norm = { groups = groups(x.width), epsilon = style.epsilon }
  if not way then
    norm.out = width
    return b:norm_conv("one", x, norm)
  end
  norm.act = "silu"
  return b:conv("one.conv", resized(b, b:group_norm("one.norm", x, norm), way, o.resample_taps), { out = width })
end

local function shortcut(b, x, width, way, o, style)
  local y = resized(b, x, way, o.resample_taps)
  local product = x.width ~= width or way and style.projected
  return product and b:conv("skip", y, { inp = x.width, out = width, kernel = 1 }) or y
end

local Way = {}
Way.__index = Way

-- (skip(x) + conv(norm(conv(norm(x))))) factor, with the embedding in its second norm.
function Way:block(path, h, width, way, attention)
  local o = self.o
  local style = STYLE[o.kind]
  local options = { name = "edm_block", text = ("%d -> %d"):format(h.width, width), recompute = o.recompute }
  return self.net:block(path, { h, self.e }, options, function(b, x, e)
    local y = first_half(b, x, width, way, o, style)
    local m = b:linear("affine", e, { out = style.adaptive and 2 * width or width })
    local given = { y, shortcut(b, x, width, way, o, style), not style.adaptive and m or false,
      style.adaptive and m or nil }
    y = b:norm_conv("two", given, { inp = width, out = width, groups = groups(width), epsilon = style.epsilon,
      dropout = o.dropout })
    y = scaled(b, y, style.factor)
    y.width = width
    return attention and attended(b, y, o, style) or y
  end)
end

function Way:attends(resolution)
  for _, at in ipairs(self.o.attn_resolutions) do if at == resolution then return true end end
  return false
end

function Way:keep(h)
  self.skips[#self.skips + 1] = h
  return h
end

-- ==== the way down =======================================================================

-- The smaller picture of the network's input, joined with the level's first result.
function Way:picture(stem, h)
  local net, o, taps = self.net, self.o, self.o.resample_taps
  local margin = (taps - 1) // 2
  if o.encoder_type == "skip" then
    self.aux = resized(net, self.aux, "down", taps)
    self.aux.width = o.image[3]
    h = net:add { h, net:conv(stem .. "aux_skip", self.aux, { out = h.width, kernel = 1 }) }
  elseif o.encoder_type == "residual" then
    local y = net:conv(stem .. "aux_residual", self.aux, { out = h.width, pad = 1 + margin })
    y = taps == 2 and net:avg_pool(y) or net:fir(y, { down = 2, taps = taps })
    local width = h.width
    h = net:scale(net:add { h, y }, { factor = math.sqrt(0.5) })
    h.width = width
    self.aux = h
  end
  return h
end

function Way:down(h)
  local o = self.o
  self.aux = h
  for level, mult in ipairs(o.channel_mult) do
    local resolution = o.image[1] >> level - 1
    local stem, width = ("enc.%dx%d_"):format(resolution, resolution), o.model_channels * mult
    if level == 1 then
      h = self.net:conv(stem .. "conv", h, { out = o.kind == "song" and o.model_channels or width })
    else
      h = self:picture(stem, self:block(stem .. "down", h, h.width, "down"))
    end
    self:keep(h)
    for k = 0, o.num_blocks - 1 do
      h = self:keep(self:block(stem .. "block" .. k, h, width, nil, self:attends(resolution)))
    end
  end
  return h
end

-- ==== the way up =========================================================================

function Way:result(stem, h)
  local h_norm = self.net:group_norm(stem .. "norm", h, { groups = groups(h.width), act = "silu",
    epsilon = STYLE[self.o.kind].epsilon })
  return self.net:conv(stem .. "conv", h_norm, { inp = h.width, out = self.o.out_channels or self.o.image[3] })
end

-- The sum of the results at all sizes so far.
function Way:summed(stem, h, level)
  local o = self.o
  if o.decoder_type ~= "skip" and level > 1 then return end
  local y = self:result(stem .. "aux_", h)
  if self.sum then y = self.net:add { resized(self.net, self.sum, "up", o.resample_taps), y } end
  self.sum = y
end

function Way:up(h)
  local o = self.o
  for level = #o.channel_mult, 1, -1 do
    local resolution = o.image[1] >> level - 1
    local stem, width = ("dec.%dx%d_"):format(resolution, resolution), o.model_channels * o.channel_mult[level]
    if level == #o.channel_mult then
      h = self:block(stem .. "in0", h, h.width, nil, true)
      h = self:block(stem .. "in1", h, h.width)
    else h = self:block(stem .. "up", h, h.width, "up") end
    for k = 0, o.num_blocks do
      local attention = self:attends(resolution) and (o.kind == "dhariwal" or k == o.num_blocks)
      h = self:block(stem .. "block" .. k, self.net:cat { h, table.remove(self.skips) }, width, nil, attention)
    end
    if o.kind == "song" then self:summed(stem, h, level) end
  end
  return o.kind == "song" and self.sum or self:result("out_", h)
end

function edm.build(net, o)
  local embedding = o.kind == "song" and song_embedding or dhariwal_embedding
  local way = setmetatable({ net = net, o = o, e = embedding(net, o), skips = {} }, Way)
  net.x.width = o.image[3]
  return way:up(way:down(net.x))
end

edm.peers = { edm = {
  class = "a network of EDM",
  names = {
    { "one.norm", "norm0" }, { "one.conv", "conv0" }, { "two.norm", "norm1" }, { "two.conv", "conv1" },
    { "attend.out", "proj" }, { "map_noise.weight", "map_noise.freqs" },
  },
  ignored = { "resample_filter" },
} }

--- The networks of EDM (Karras et al. 2022) for images {B, H, W, C}: SongUNet and DhariwalUNet. model(x,
--- c_noise) is the raw network; d.precondition(model, process) is a denoiser. d.hub.load finds the options
--- for a file.
---@param options diffusion.edm_options
---@return diffusion.model
---@usage local net = d.edm{ image = { 8, 8, 3 }, model_channels = 16, channel_mult = { 1, 2 }, num_blocks = 1 }
--- local process = d.process{ schedule = d.schedule.edm{}, predict = "edm" }
--- print(d.precondition(net, process)(d.randn(2, 8, 8, 3), 500))
function edm.new(options) return family.model(edm, options) end

return edm
