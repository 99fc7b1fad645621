--- The networks that come with the library, wired in C.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local model = require "diffusion.nn.model"

local stock = {}

-- A network by its checked options, which are its config.
local function build(kind, o)
  local root = opts.relay(core.layer[kind], o)
  local config = { kind = kind }
  for name, value in pairs(o) do config[name] = value end
  return model.model(root, config)
end

local mlp_rules = {
  dim = { "integer", default = 2, min = 1 },
  hidden = { "integer", default = 128, min = 2 },
  depth = { "integer", default = 4, min = 1 },
  classes = { "integer", default = 0, min = 0 },
  outputs = { "integer", default = 1, min = 1, max = 2 },
  self_condition = { "boolean" },
  recompute = { "boolean" },
}

--- A denoiser for points {B, dim}: residual blocks of two products, told the time by an
--- embedding.
---@param options table? {dim = 2, hidden = 128 (even), depth = 4 blocks, classes = 0,
---  outputs = 1, or 2 for a learned variance: {B, 2 dim}; self_condition = false: true to be
---  told its own x0 as (xt, t, {class=, x0=}), zeros if not given; recompute = false: true keeps
---  of each block its inputs alone and computes the rest again on the way back}
---@return diffusion.model
---@usage local model = d.mlp{ dim = 2, hidden = 64, depth = 2 }
--- print(model(d.randn(8, 2), 500))
function stock.mlp(options) return build("mlp", opts.check("mlp", options, mlp_rules)) end

local unet_rules = {
  image = { "table", required = true },
  channels = { "integer", default = 32, min = 2 },
  mult = { "table", default = { 1, 2, 2 } },
  blocks = { "integer", default = 2, min = 1 },
  attention = { "table", default = {} },
  classes = { "integer", default = 0, min = 0 },
  outputs = { "integer", default = 1, min = 1, max = 2 },
  dropout = { "number", default = 0, min = 0, below = 1 },
  heads = { "integer", default = 1, min = 1 },
  groups = { "integer", min = 1 },
  self_condition = { "boolean" },
  recompute = { "boolean" },
}

local function whole_list(network, name, list, least)
  local out = {}
  for i = 1, #list do
    out[i] = math.tointeger(list[i])
    if not out[i] or out[i] < 1 then
      opts.fail("bad argument #1 to '%s' (option '%s': whole numbers of 1 or more expected, got %s)",
        network, name, opts.shown(list[i]))
    end
  end
  if #out < least then
    opts.fail("bad argument #1 to '%s' (option '%s': %d entries expected, got %d)", network, name, least, #out)
  end
  return out
end

--- The UNet of Ho et al. 2020 for images {B, H, W, C}: residual blocks with time and class,
--- attention where asked for and in the middle, predicting C channels. Other H and W may be
--- run too, if the levels divide them.
---@param options table {image = {H, W, C}, channels = 32, mult = {1, 2, 2}: a level each,
---  blocks = 2 a level, attention = {} (factors of down-sampling, as {4}), classes = 0,
---  outputs = 1, or 2 for a learned variance: {B, H, W, 2C}; dropout = 0, heads = 1, groups =
---  as in nn.norm_conv, self_condition = false: true to be told its own x0, as d.mlp is;
---  recompute = false: true keeps of each block its inputs alone and computes the rest again on
---  the way back, the same bits in less memory and a third more time}
---@return diffusion.model
---@usage print(d.unet{ image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, attention = { 2 }, classes = 10 })
function stock.unet(options)
  local o = opts.check("unet", options, unet_rules)
  o.image, o.mult = whole_list("unet", "image", o.image, 3), whole_list("unet", "mult", o.mult, 1)
  o.attention = whole_list("unet", "attention", o.attention, 0)
  return build("unet", o)
end

local dit_rules = {
  image = { "table", required = true },
  patch = { "integer", default = 2, min = 1 },
  width = { "integer", default = 128, min = 4 },
  heads = { "integer", default = 4, min = 1 },
  depth = { "integer", default = 4, min = 1 },
  ratio = { "integer", default = 4, min = 1 },
  classes = { "integer", default = 0, min = 0 },
  outputs = { "integer", default = 1, min = 1, max = 2 },
  dropout = { "number", default = 0, min = 0, below = 1 },
  self_condition = { "boolean" },
  recompute = { "boolean" },
}

--- The diffusion transformer of Peebles & Xie 2023 for images {B, H, W, C}: patches as tokens with
--- fixed sines and cosines of their places, and blocks of attention and two products whose shifts, scales
--- and gates are a product of time and class (adaLN-Zero). It starts at 0, each block as the identity.
--- Other H and W may be run too, if the patch divides them.
---@param options table {image = {H, W, C}, patch = 2: sides of a token's pixels, width = 128 of a token (a
---  multiple of 4), heads = 4, depth = 4 blocks, ratio = 4: a block's products go to ratio width and back,
---  classes = 0, outputs = 1, or 2 for a learned variance: {B, H, W, 2C}; dropout = 0 between the two
---  products, self_condition = false: true to be told its own x0, as d.mlp is; recompute = false: as of
---  d.unet}
---@return diffusion.model
---@usage local model = d.dit{ image = { 8, 8, 1 }, width = 32, depth = 2, classes = 10 }
--- print(model(d.randn(4, 8, 8, 1), 500, { class = 3 }))
function stock.dit(options)
  local o = opts.check("dit", options, dit_rules)
  o.image = whole_list("dit", "image", o.image, 3)
  return build("dit", o)
end

local kinds = { mlp = stock.mlp, unet = stock.unet, dit = stock.dit }

--- The network of a config (see model:config), with first values.
---@param config table
---@return diffusion.model|nil model nil for a network composed in Lua
---@return string|nil message why
function stock.from_config(config)
  local o = {}
  for name, value in pairs(config) do if name ~= "kind" then o[name] = value end end
  if kinds[config.kind] then return kinds[config.kind](o) end
  if config.kind == "module" then
    return nil, ("the network '%s' was composed in Lua: build it with its constructor, then "
      .. "model:load(path)"):format(tostring(config.name))
  end
  return nil, ("a network of kind '%s' isn't known here"):format(tostring(config.kind))
end

return stock
