-- The UNet of lucidrains' denoising-diffusion-pytorch, in its versions since 0.22.
local family = require "diffusion.nn.family"

local lucidrains = { name = "lucidrains" }

local TINY = 1e-24 -- under the root of its norms, which divide by a length of 1e-12 or more

local function flag(default, text) return { "boolean", default = default, text = text } end

-- One number for all levels, or a list of one for each.
local function of_levels(default, text)
  return { "integer|table", each = { "integer", min = 1, max = 1 << 20 }, least = 1, min = 1, max = 1 << 20,
    default = default, as = "integer|integer[]",
    text = text .. "; a list has one for each level, and may have one more for the middle" }
end

lucidrains.options = family.declare(lucidrains.name, {
  image = family.image,
  dim = family.size(64, 4, "channels in multiples of which the levels are counted, even"),
  init_dim = { "integer", min = 1, max = 1 << 20, default_text = "dim", text = "channels of the first convolution" },
  dim_mults = family.sizes { default = { 1, 2, 4, 8 }, least = 1,
    text = "channels of each level, in multiples of dim" },
  full_attn = { "table", each = { "boolean" }, as = "boolean[]", default_text = "true for the last level alone",
    text = "whether each level has softmax attention; others have linear attention" },
  attn_heads = of_levels(4, "number of heads of each attention"),
  attn_dim_head = of_levels(32, "width of a head"),
  num_mem_kv = { "integer", default = 4, min = 0, max = 1 << 20, text = "learned keys and values of each attention" },
  norm = { one_of = { "rms", "group" }, default = "rms", text = "norm of the residual blocks: \"group\" before 2.0" },
  resnet_block_groups = family.size(8, 1, "groups of the norms, if norm = \"group\""),
  attn_norm = { one_of = { "rms", "layer", "layer_bias" }, default = "rms",
    text = "norm of the attentions: \"layer\" from 0.26.5 to 1.6, \"layer_bias\" before" },
  standard_conv = flag(false, "convolutions of the blocks have standardised weights, as from 0.27.3 to 1.7.1"),
  divide_values = flag(false, "linear attention divides values by the number of pixels, as from 0.26.4 to 1.7.3"),
  cosine_attn = { "number", default = 0, min = 0,
    text = "factor of the scores if softmax attention has normalised q and k: 16 from 0.26 to 0.27.2, 10 to 0.27.12" },
  downsample = { one_of = { "unshuffle", "conv" }, default = "unshuffle",
    text = "2x2 pixels and a product, or a convolution of 4x4 as before 0.32" },
  learned_sinusoidal_cond = flag(false, "sines and cosines of time have trained frequencies"),
  learned_sinusoidal_dim = family.size(16, 2, "number of those sines and cosines, even"),
  sinusoidal_pos_emb_theta = { "number", default = 10000, above = 0, text = "longest period of time over 2 pi" },
  time_offset = { "number", default = 1,
    text = "subtracted from t: 1 for timesteps from 0; 0 for log SNR and noise levels" },
  classes = family.classes,
  outputs = family.outputs,
  dropout = family.dropout,
  self_condition = family.self_condition,
  recompute = family.recompute,
})

-- ==== checks =============================================================================

local function levels(o) return #o.dim_mults end

-- The number of a level, or of the middle, which comes after the last.
local function of_level(value, level) return type(value) == "table" and (value[level] or value[#value]) or value end

local function check_lists(o)
  for _, name in ipairs { "full_attn", "attn_heads", "attn_dim_head" } do
    local list = o[name]
    local middle = name ~= "full_attn" and type(list) == "table" and #list == levels(o) + 1
    if type(list) == "table" and #list ~= levels(o) and not middle then
      family.fail("lucidrains: %s has %d entries, but there are %d levels", name, #list, levels(o))
    end
  end
end

local function check_groups(o)
  if o.norm ~= "group" then return end
  for level = 0, levels(o) do
    local width = level == 0 and (o.init_dim or o.dim) or o.dim * o.dim_mults[level]
    if width % o.resnet_block_groups ~= 0 then
      family.fail("lucidrains: %d groups don't divide %d channels", o.resnet_block_groups, width)
    end
  end
end

function lucidrains.check(o)
  local factor = 1 << levels(o) - 1
  for _, name in ipairs { "dim", "learned_sinusoidal_dim" } do
    if o[name] % 2 ~= 0 then family.fail("lucidrains: %s must be even, got %d", name, o[name]) end
  end
  for _, side in ipairs { o.image[1], o.image[2] } do
    if side % factor ~= 0 then
      family.fail("lucidrains: image [%d,%d] can't be halved %d times: H and W must be multiples of %d; %s", o.image[1],
        o.image[2], levels(o) - 1, factor, family.fitting(side, factor))
    end
  end
  check_lists(o)
  check_groups(o)
end

function lucidrains.inputs(o)
  local factor = 1 << levels(o) - 1
  return family.inputs({ "B", { "H", multiple = factor }, { "W", multiple = factor }, o.image[3] }, o)
end

function lucidrains.text(o)
  return ("dim %d, image channels %d, sides multiples of %d"):format(o.dim, o.image[3], 1 << levels(o) - 1)
end

-- ==== layers =============================================================================

local Way = {}
Way.__index = Way

-- silu(time), with the class next to it if there are classes.
local function embedding(net, o)
  local wide = 4 * o.dim
  local w = o.learned_sinusoidal_cond
    and net:learned_waves("time.waves", net.t, { width = o.learned_sinusoidal_dim, offset = o.time_offset })
    or net:sinusoid(net.t, { width = o.dim, max_period = o.sinusoidal_pos_emb_theta, order = "sin_cos", shift = 1,
      offset = o.time_offset, single = true })
  local e = net:linear("time.two", net:gelu(net:linear("time.one", w, { out = wide })), { out = wide })
  if o.classes == 0 then return net:silu(e) end
  local c = net:embedding("class.rows", net:labels({ w, net.class }, { classes = o.classes }),
    { inp = o.classes + 1, out = o.dim })
  c = net:linear("class.two", net:gelu(net:linear("class.one", c, { out = wide })), { out = wide })
  return net:silu(net:cat { e, c })
end

-- silu(norm(conv(h))), scaled and shifted by m if it is given.
local function half_block(b, o, name, h, m, width)
  h = b:conv("conv" .. name, h, { out = width, standard = o.standard_conv })
  if o.norm == "rms" then return b:rms_norm("norm" .. name, m and { h, m } or h, { epsilon = TINY, act = "silu" }) end
  return b:group_norm("norm" .. name, m and { h, false, m } or h, { groups = o.resnet_block_groups, act = "silu" })
end

function Way:block(path, h, width)
  local o = self.o
  local options = { name = "lucidrains_block", text = ("%d -> %d"):format(h.width, width), recompute = o.recompute }
  return self.net:block(path, { h, self.e }, options, function(b, x, e)
    local y = half_block(b, o, "1", x, b:linear("modulate", e, { out = 2 * width }), width)
    y = half_block(b, o, "2", b:dropout("dropout", y, { dropout = o.dropout }), nil, width)
    return b:add { y, x.width == width and x or b:conv("skip", x, { out = width, kernel = 1 }) }
  end)
end

local function attention_norm(b, o, path, h)
  if o.attn_norm == "rms" then return b:rms_norm(path, h, { epsilon = TINY }) end
  return b:layer_norm(path, h, { bias = o.attn_norm == "layer_bias" })
end

-- h + attention(norm(h)); linear attention has another norm behind it.
function Way:attention(path, h, level, full)
  local o = self.o
  local heads = of_level(o.attn_heads, level)
  local inner = heads * of_level(o.attn_dim_head, level)
  local options = { name = "lucidrains_attention", text = ("%d, heads %d"):format(h.width, heads),
    recompute = o.recompute }
  return self.net:block(path, h, options, function(b, x)
    local y = attention_norm(b, o, "norm", x)
    if full then
      y = b:memory_attention("attend", y, { heads = heads, inner = inner, memory = o.num_mem_kv,
        cosine = o.cosine_attn })
    else
      y = b:linear_attention("attend", y, { heads = heads, inner = inner, memory = o.num_mem_kv,
        spread = o.divide_values })
      y = attention_norm(b, o, "after", y)
    end
    return b:add { y, x }
  end)
end

function Way:is_full(level)
  if self.o.full_attn then return self.o.full_attn[level] end
  return level == levels(self.o)
end

function Way:keep(h)
  self.skips[#self.skips + 1] = h
  return h
end

function Way:smaller(path, h, level, width)
  if level == levels(self.o) then return self.net:conv(path .. ".conv", h, { out = width }) end
  if self.o.downsample == "conv" then
    return self.net:conv(path .. ".conv", h, { out = width, kernel = 4, stride = 2, pad = 1 })
  end
  return self.net:conv(path .. ".shrink", h, { out = width, kernel = 2, stride = 2, pad = 0 })
end

function Way:down(h)
  for level, mult in ipairs(self.o.dim_mults) do
    local path = ("down.%d"):format(level - 1)
    h = self:keep(self:block(path .. ".one", h, h.width))
    h = self:block(path .. ".two", h, h.width)
    h = self:keep(self:attention(path .. ".attention", h, level, self:is_full(level)))
    h = self:smaller(path, h, level, self.o.dim * mult)
  end
  return h
end

function Way:middle(h)
  h = self:block("mid.one", h, h.width)
  h = self:attention("mid.attention", h, levels(self.o) + 1, true)
  return self:block("mid.two", h, h.width)
end

function Way:larger(path, h, level, width)
  if level == 1 then return self.net:conv(path .. ".conv", h, { out = width }) end
  return self.net:upsample(path .. ".grow", h, { out = width })
end

function Way:up(h)
  local o = self.o
  for level = levels(o), 1, -1 do
    local path, width = ("up.%d"):format(levels(o) - level), h.width
    for _, name in ipairs { "one", "two" } do
      h = self:block(path .. "." .. name, self.net:cat { h, table.remove(self.skips) }, width)
    end
    h = self:attention(path .. ".attention", h, level, self:is_full(level))
    h = self:larger(path, h, level, level == 1 and (o.init_dim or o.dim) or o.dim * o.dim_mults[level - 1])
  end
  return h
end

function lucidrains.build(net, o)
  local first = net:conv("init", family.seen(net, o), { out = o.init_dim or o.dim, kernel = 7 })
  local way = setmetatable({ net = net, o = o, e = embedding(net, o), skips = {} }, Way)
  local h = way:up(way:middle(way:down(first)))
  h = way:block("last", net:cat { h, first }, first.width)
  return net:conv("out", h, { out = o.outputs * o.image[3], kernel = 1 })
end

lucidrains.peers = { lucidrains = {
  class = "Unet of denoising-diffusion-pytorch",
  names = {
    { "init", "init_conv" }, { "last", "final_res_block" }, { "out", "final_conv" },
    { "time.waves.weight", "time_mlp.0.weights" }, { "time.one", "time_mlp.1" }, { "time.two", "time_mlp.3" },
    { "class.one", "classes_mlp.0" }, { "class.two", "classes_mlp.2" },
    { "down.*.one", "downs.*.0" }, { "down.*.two", "downs.*.1" }, { "down.*.attention", "downs.*.2" },
    { "down.*.shrink", "downs.*.3.1" }, { "down.*.conv", "downs.*.3" },
    { "mid.one", "mid_block1" }, { "mid.attention", "mid_attn" }, { "mid.two", "mid_block2" },
    { "up.*.one", "ups.*.0" }, { "up.*.two", "ups.*.1" }, { "up.*.attention", "ups.*.2" },
    { "up.*.grow.conv", "ups.*.3.1" }, { "up.*.conv", "ups.*.3" },
    { "modulate", "mlp.1" }, { "conv1", "block1.proj" }, { "norm1", "block1.norm" }, { "conv2", "block2.proj" },
    { "norm2", "block2.norm" }, { "skip", "res_conv" },
    { "attend.memory", "mem_kv" }, { "attend.qkv", "to_qkv" }, { "attend.out", "to_out" }, { "attend.out", "to_out.0" },
    { "after", "to_out.1" },
  },
  older = { { "fn.norm", "norm" }, { "fn.fn.to_qkv", "to_qkv" }, { "fn.fn.to_out", "to_out" }, { "g", "weight" },
    { "b", "bias" } },
} }

--- The UNet of lucidrains' denoising-diffusion-pytorch for images {B, H, W, C}. Options that its
--- constructor doesn't have describe older versions. d.hub.load finds them for a file.
---@param options diffusion.lucidrains_options
---@return diffusion.model
---@usage print(d.lucidrains{ image = { 8, 8, 1 }, dim = 16, dim_mults = { 1, 2 } })
function lucidrains.new(options) return family.model(lucidrains, options) end

return lucidrains
