-- The encoder and the decoder of convolutional autoencoders, Encoder and Decoder of diffusers, as
-- lists. VQModel has them, and AutoencoderKL. Parameters have the paths of those classes, except
-- for the names in coder.names.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"

local coder = {}

local EPSILON = 1e-6
local SPATIAL_GROUPS = 32

-- ==== names ==============================================================================

--- Runs of a path's parts that differ: ours, diffusers'.
coder.names = {
  { "one.norm", "norm1" }, { "one.conv", "conv1" }, { "two.norm", "norm2" }, { "two.conv", "conv2" },
  { "attend.q", "to_q" }, { "attend.k", "to_k" }, { "attend.v", "to_v" }, { "attend.out", "to_out.0" },
  { "out.norm", "conv_norm_out" }, { "out.conv", "conv_out" },
}

--- A function from a config of diffusers to a family's options. There an activation may have capitals.
---@param known table the family
---@param ours string[] options that the config doesn't have
---@param extra string? a key that the class adds to its config and doesn't read
---@return function config -> options, unknown keys
function coder.options(known, ours, extra)
  return function(config)
    local copy = {}
    for key, value in pairs(config) do if key ~= extra then copy[key] = value end end
    if type(copy.act_fn) == "string" then copy.act_fn = copy.act_fn:lower() end
    return peers.options(known, { ours = ours }, copy)
  end
end

--- Names of attention in older files, and today's.
coder.older = {
  { "query", "to_q" }, { "key", "to_k" }, { "value", "to_v" }, { "proj_attn", "to_out.0" },
}

--- The rule of the option act_fn; "swish" is silu.
---@param default string
---@return table
function coder.activation(default)
  return { one_of = { "silu", "swish", "mish", "gelu", "relu" }, default = default,
    text = "activation of the residual blocks" }
end

--- The name of an activation as layers take it.
---@param name string
---@return string
function coder.act(name) return name == "swish" and "silu" or name end

coder.down_types = { "DownEncoderBlock2D", "AttnDownEncoderBlock2D" }
coder.up_types = { "UpDecoderBlock2D", "AttnUpDecoderBlock2D" }

--- Options of all autoencoders of these lists.
coder.rules = {
  in_channels = family.size(3, 1, "channels of an image"),
  out_channels = family.size(3, 1, "channels of a decoded image"),
  down_block_types = { "table", each = { one_of = coder.down_types }, least = 1, as = "string[]",
    default = { "DownEncoderBlock2D" }, text = "the type of each level of the encoder" },
  up_block_types = { "table", each = { one_of = coder.up_types }, least = 1, as = "string[]",
    default = { "UpDecoderBlock2D" }, text = "the type of each level of the decoder" },
  block_out_channels = family.sizes { default = { 64 }, least = 1, text = "channels of each level" },
  layers_per_block = family.count(1, "residual blocks of a level of the encoder; one more in the decoder"),
  act_fn = coder.activation "silu",
  norm_num_groups = family.size(32, 1, "groups of the norms"),
}

-- ==== blocks =============================================================================

-- Spatial norm of Zheng et al. 2022: group_norm(x) * conv_y(z) + conv_b(z). The 1x1 convolutions are
-- computed before z is enlarged to the size of x, `times` as large.
local function spatial_norm(b, path, x, z, times)
  local function map(name)
    local y = b:conv(path .. name, z, { out = x.width, kernel = 1, pad = 0 })
    return times > 1 and b:enlarge(y, { times = times }) or y
  end
  local y = b:group_norm(path .. ".norm_layer", x, { groups = SPATIAL_GROUPS, epsilon = EPSILON })
  return b:add { b:mul { y, map ".conv_y" }, map ".conv_b" }
end

-- The parts of a list while it is written: net, options o, z and times for spatial norms.
local Way = {}
Way.__index = Way

-- conv(act(norm(x))) + added, in one layer or with a spatial norm.
function Way:norm_conv(b, which, x, z, added, out)
  local o = self.o
  if not z then
    return b:norm_conv(which, { x, added or false }, { out = out, groups = o.norm_num_groups, epsilon = EPSILON,
      act = coder.act(o.act_fn) })
  end
  local y = b:activation(spatial_norm(b, which .. ".norm", x, z, self.times), { act = coder.act(o.act_fn) })
  return b:conv(which .. ".conv", { y, added or false }, { out = out })
end

-- conv(act(norm(conv(act(norm(x)))))) + x, where x passes a 1x1 convolution if the widths differ
function Way:resnet(path, h, out)
  local text = ("%d -> %d"):format(h.width, out)
  return self:block(path, h, "res_block", text, function(b, x, z)
    local y = self:norm_conv(b, "one", x, z, nil, out)
    local skip = x.width ~= out and b:conv("conv_shortcut", x, { out = out, kernel = 1, pad = 0 }) or x
    return self:norm_conv(b, "two", y, z, skip, out)
  end)
end

-- x + attention(norm(x)) with one head
function Way:attention(path, h)
  return self:block(path, h, "attention_block", tostring(h.width), function(b, x, z)
    local y = z and spatial_norm(b, "spatial_norm", x, z, self.times)
      or b:group_norm("group_norm", x, { groups = self.o.norm_num_groups, epsilon = EPSILON })
    return b:add { x, b:attention("attend", y, { heads = 1, fused = false }) }
  end)
end

function Way:block(path, h, name, text, fn)
  local given = self.z and { h, self.z } or h
  return self.net:block(path, given, { name = name, text = text, recompute = self.o.recompute }, fn)
end

function Way:middle(h)
  h = self:resnet("mid_block.resnets.0", h, h.width)
  if self.o.mid_block_add_attention then h = self:attention("mid_block.attentions.0", h) end
  return self:resnet("mid_block.resnets.1", h, h.width)
end

-- Resnets of one level, each with an attention if the block's type has one.
function Way:level(path, h, block_type, n, out)
  for i = 0, n - 1 do
    h = self:resnet(("%s.resnets.%d"):format(path, i), h, out)
    if block_type:find "^Attn" then h = self:attention(("%s.attentions.%d"):format(path, i), h) end
  end
  return h
end

-- ==== lists ==============================================================================

--- The list that encodes images {B, H, W, in_channels}. Each level but the last halves H and W,
--- rounded down.
---@param o table options of the config
---@param out integer channels of the result
---@return table spec for build.network
function coder.encoder(o, out)
  local widths = o.block_out_channels
  local function build(net)
    local way = setmetatable({ net = net, o = o }, Way)
    local h = net:conv("conv_in", net.x, { out = widths[1] })
    for i, block_type in ipairs(o.down_block_types) do
      local path = ("down_blocks.%d"):format(i - 1)
      h = way:level(path, h, block_type, o.layers_per_block, widths[i])
      if i < #widths then
        h = net:downsample(path .. ".downsamplers.0", h, { out = h.width, pad = { 0, 1, 0, 1 } })
      end
    end
    return net:norm_conv("out", way:middle(h), { out = out, groups = o.norm_num_groups, epsilon = EPSILON })
  end
  return { name = "encoder", text = ("%d -> %d"):format(o.in_channels, out),
    inputs = { { "x", shape = { "B", "H", "W", o.in_channels } } }, build = build }
end

-- The last layers: conv(silu(norm(h))).
local function last(way, h)
  local net, o = way.net, way.o
  if not way.z then
    return net:norm_conv("out", h, { out = o.out_channels, groups = o.norm_num_groups, epsilon = EPSILON })
  end
  h = net:silu(spatial_norm(net, "out.norm", h, way.z, way.times))
  return net:conv("out.conv", h, { out = o.out_channels })
end

--- The list that decodes latents {B, h, w, latent_channels}. Each level but the last doubles h and w.
--- With spatial norms the second input is z, the latents before post_quant_conv.
---@param o table options of the config
---@return table spec for build.network
function coder.decoder(o)
  local widths, n = o.block_out_channels, #o.block_out_channels
  local spatial = o.norm_type == "spatial"
  local latents = { "B", "H", "W", o.latent_channels }
  local inputs = { { "x", shape = latents }, spatial and { "z", shape = latents } or nil }
  local function build(net)
    local way = setmetatable({ net = net, o = o, z = spatial and net.z, times = 1 }, Way)
    local h = way:middle(net:conv("conv_in", net.x, { out = widths[n] }))
    for i, block_type in ipairs(o.up_block_types) do
      local path = ("up_blocks.%d"):format(i - 1)
      h = way:level(path, h, block_type, o.layers_per_block + 1, widths[n + 1 - i])
      if i < n then
        h = net:upsample(path .. ".upsamplers.0", h, { out = h.width })
        way.times = 2 * way.times
      end
    end
    return last(way, h)
  end
  return { name = "decoder", text = ("%d -> %d"):format(o.latent_channels, o.out_channels), inputs = inputs,
    build = build }
end

-- The groups of the norms divide the channels of each level.
local function check_groups(name, o, groups, what)
  for i, width in ipairs(o.block_out_channels) do
    if width % groups ~= 0 then
      fail.raise("%s: entry %d of block_out_channels is %d, no multiple of %s, %d", name, i, width, what, groups)
    end
  end
end

--- Raises unless the lists of the levels are of one length and the norms fit.
---@param name string the family
---@param o table options of the config
function coder.check(name, o)
  local n = #o.block_out_channels
  for _, key in ipairs { "down_block_types", "up_block_types" } do
    if #o[key] ~= n then
      fail.raise("%s: block_out_channels has %d levels, but %s has %d", name, n, key, #o[key])
    end
  end
  check_groups(name, o, o.norm_num_groups, "norm_num_groups")
  if o.norm_type == "spatial" then check_groups(name, o, SPATIAL_GROUPS, "the groups of spatial norms") end
end

-- ==== calls ==============================================================================

--- Raises unless x is a tensor of floats {B, H, W, width}.
---@param where string "vq:encode"
---@param what string "images"
---@param x any
---@param width integer
---@return any x
function coder.images(where, what, x, width)
  if not core.is_tensor(x) or x:dim() ~= 4 or x:size(4) ~= width then
    fail.raise("%s: %s are a tensor {B, H, W, %d}, got %s", where, what, width,
      core.is_tensor(x) and kind.shape_text(x) or kind.shown(x))
  end
  return opts.floats(where, what, x)
end

--- Raises if a method that takes no options is given some.
---@param where string "vq:encode"
---@param options any
function coder.no_options(where, options)
  if options == nil then return end
  fail.raise("%s takes no options, got %s; tiles are an option of autoencoderkl", where, kind.shown(options))
end

--- Calls fn(...) and releases all that it made but its results.
coder.scope = gradient.scope

return coder
