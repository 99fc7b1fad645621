--- The networks that come with the library, wired in C.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kinds = require "diffusion.kind"
local legible = require "diffusion.legible"
local model = require "diffusion.nn.model"
local opts = require "diffusion.opts"

local stock = {}

local WIDEST = 1 << 20 -- of any size: no product of them overflows 63 bits
local function size(default, least) return { "integer", default = default, min = least or 1, max = WIDEST } end
local function blocks(default) return { "integer", default = default, min = 1, max = 100000 } end
local classes = { "integer", default = 0, min = 0, max = (1 << 31) - 1 }

-- By name: {rules, blocks = the option that says how many there are, lists = {name, entries at least}}.
local families = {}

-- A list of sizes.
local function whole_list(network, name, list, least)
  local out = {}
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #list then
      fail.raise("bad argument #1 to '%s' (option '%s': a list takes no field '%s')", network, name, tostring(key))
    end
  end
  for i = 1, #list do
    out[i] = math.tointeger(list[i])
    if not out[i] or out[i] < 1 or out[i] > WIDEST then
      fail.raise("bad argument #1 to '%s' (option '%s': whole numbers of 1 or more expected, got %s%s)",
        network, name, kinds.shown(list[i]), out[i] and out[i] > WIDEST and ", more than " .. WIDEST or "")
    end
  end
  if #out < least then
    fail.raise("bad argument #1 to '%s' (option '%s': %d entries expected, got %d)", network, name, least, #out)
  end
  return out
end

-- A block has a tensor at least, so a file's tensors bound the blocks of the network that it describes.
local function check_blocks(kind, o, state)
  local name, n = families[kind].blocks, 0
  for _ in pairs(state) do n = n + 1 end
  if o[name] > n then
    fail.raise("the %s that is described has %s = %d, but the file holds %d tensors", kind, name, o[name], n)
  end
end

-- A network by its options, which, checked, are its config; for the values of `state` alone, if there is one.
local function build(kind, options, state)
  local family = families[kind]
  local o = opts.check(kind, options, family.rules)
  for _, list in ipairs(family.lists) do o[list[1]] = whole_list(kind, list[1], o[list[1]], list[2]) end
  if state then check_blocks(kind, o, state) end
  local root = fail.call(core.layer[kind], o)
  if state then model.check_state(root, state) end
  local config = { kind = kind }
  for name, value in pairs(o) do config[name] = value end
  return model.model(root, config)
end

families.mlp = { blocks = "depth", lists = {}, rules = {
  dim = size(2),
  hidden = size(128, 2),
  depth = blocks(4),
  classes = classes,
  outputs = { "integer", default = 1, min = 1, max = 2 },
  self_condition = { "boolean" },
  recompute = { "boolean" },
} }

--- A denoiser for points {B, dim}: residual blocks of two products, told the time by an
--- embedding.
---@param options table? {dim = 2, hidden = 128 (even), depth = 4 blocks, classes = 0,
---  outputs = 1, or 2 for a learned variance: {B, 2 dim}; self_condition = false: true to be
---  told its own x0 as (xt, t, {class=, x0=}), zeros if not given; recompute = false: true keeps
---  of each block its inputs alone and computes the rest again on the way back}
---@return diffusion.model
---@usage local model = d.mlp{ dim = 2, hidden = 64, depth = 2 }
--- print(model(d.randn(8, 2), 500))
function stock.mlp(options) return build("mlp", options) end

families.unet = { blocks = "blocks", lists = { { "image", 3 }, { "mult", 1 }, { "attention", 0 } }, rules = {
  image = { "table", required = true },
  channels = size(32, 2),
  mult = { "table", default = { 1, 2, 2 } },
  blocks = blocks(2),
  attention = { "table", default = {} },
  classes = classes,
  outputs = { "integer", default = 1, min = 1, max = 2 },
  dropout = { "number", default = 0, min = 0, below = 1 },
  heads = size(1),
  groups = size(),
  self_condition = { "boolean" },
  recompute = { "boolean" },
} }

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
function stock.unet(options) return build("unet", options) end

families.dit = { blocks = "depth", lists = { { "image", 3 } }, rules = {
  image = { "table", required = true },
  patch = size(2),
  width = size(128, 4),
  heads = size(4),
  depth = blocks(4),
  ratio = size(4),
  classes = classes,
  outputs = { "integer", default = 1, min = 1, max = 2 },
  dropout = { "number", default = 0, min = 0, below = 1 },
  self_condition = { "boolean" },
  recompute = { "boolean" },
} }

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
function stock.dit(options) return build("dit", options) end

--- The network of a config (see model:config), for a file's values: an error, and nothing is allocated for
--- them, where the file's tensors aren't just those of the network.
---@param config table
---@param state table<string, any> the file's tensors
---@return diffusion.model|nil model nil for a network composed in Lua
---@return string|nil message why
function stock.from_config(config, state)
  local o = {}
  for name, value in pairs(config) do if name ~= "kind" then o[name] = value end end
  if families[config.kind] then return build(config.kind, o, state) end
  if config.kind == "module" then
    return nil, ("the network '%s' was composed in Lua: build it with its constructor, then "
      .. "model:load(path)"):format(tostring(config.name))
  end
  return legible.refused("a network of kind '%s' isn't known here", tostring(config.kind))
end

return stock
