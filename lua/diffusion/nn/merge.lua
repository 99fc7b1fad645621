-- Merging adds the products of adapters to the weights of a model. The weights without adapters are
-- kept while some are merged, so that they come back bit for bit.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"

local merge = {}

-- A model's parameter buffer -> {order = the merged loras, base = parameter number -> value without
-- them}. A lora here is {weights = that buffer, adapters =
-- list of {index, part, down, up, factor}}.
local merged = setmetatable({}, { __mode = "k" })

-- Sums are rounded once, whatever precision the products of networks have.
local precise = {
  open = function() return setmetatable({ core.precision() }, { __close = function(p) core.precision(p[1]) end }) end,
}

-- factor B A, in the shape of its rows of the weight.
local function change(a)
  local down, up = a.down.weight, a.up.weight
  local rank, shape = down:size(1), down:shape()
  shape[1] = up:size(1)
  return (up:reshape(-1, rank):matmul(down:reshape(rank, -1)) * (a.factor or 1)):reshape(shape)
end

-- The value of parameter i with the adapters of some loras.
local function sum(base, i, loras)
  local w = base:to(core.real):clone()
  for _, lora in ipairs(loras) do
    for _, a in ipairs(lora.adapters) do
      if a.index == i then
        local delta = change(a)
        w:narrow(1, a.part * delta:size(1) + 1, delta:size(1)):add_(delta)
      end
    end
  end
  return w
end

local function computed(base, i, loras)
  local exact <close> = precise.open() -- luacheck: ignore 211
  core.precision "highest"
  return gradient.no_grad(gradient.scope, sum, base, i, loras)
end

-- Adopted values are replaced, since they are windows on a file or on tensors of others.
local function write(home, i, value)
  if home:is_adopted(i) then fail.call(home.replace, home, i, value) else home:value(i):detach():copy_(value) end
end

local function kept(home, i)
  local value = home:value(i):detach()
  return home:is_adopted(i) and value or value:clone()
end

-- The numbers of the parameters that a lora changes, each once.
local function indices(lora)
  local out, seen = {}, {}
  for _, a in ipairs(lora.adapters) do
    if not seen[a.index] then out[#out + 1] = a.index end
    seen[a.index] = true
  end
  return out
end

local function place_of(order, lora)
  for k, other in ipairs(order) do if other == lora then return k end end
end

local function is_merged_elsewhere(order, lora, i)
  for _, other in ipairs(order) do
    for _, a in ipairs(other ~= lora and other.adapters or {}) do if a.index == i then return true end end
  end
end

-- Drops what is kept for a lora that isn't merged any more.
local function let_go(home, lora)
  local state = merged[home]
  for _, i in ipairs(indices(lora)) do
    if not is_merged_elsewhere(state.order, lora, i) then state.base[i] = nil end
  end
  if #state.order == 0 then merged[home] = nil end
end

-- NaN has its own bits, and equals nothing.
local function same(a, b) return a:equal(b) or a:contiguous():bytes() == b:contiguous():bytes() end

local function check_unchanged(home, state, lora)
  for _, i in ipairs(indices(lora)) do
    if not same(home:value(i):detach(), computed(state.base[i], i, state.order)) then
      fail.raise("lora: '%s' or its adapters were written to after merge(), so the value before it isn't known; "
        .. "remove() keeps the weights as they are", home:name(i))
    end
  end
end

--- Adds a lora to the weights of its model.
---@param lora table {weights, adapters}
function merge.add(lora)
  local home = lora.weights
  local state = merged[home] or { order = {}, base = {} }
  local order, values = { table.unpack(state.order) }, {}
  order[#order + 1] = lora
  local base = setmetatable({}, { __index = state.base })
  for _, i in ipairs(indices(lora)) do
    base[i] = base[i] or kept(home, i)
    values[i] = computed(base[i], i, order)
  end
  for i, value in pairs(values) do write(home, i, value) end
  for i, value in next, base do state.base[i] = value end
  state.order, merged[home] = order, state
end

--- Takes a merged lora out of the weights.
---@param lora table
function merge.take(lora)
  local home = lora.weights
  local state = merged[home]
  check_unchanged(home, state, lora)
  local order, values = { table.unpack(state.order) }, {}
  table.remove(order, place_of(order, lora))
  for _, i in ipairs(indices(lora)) do
    values[i] = is_merged_elsewhere(order, lora, i) and computed(state.base[i], i, order) or state.base[i]
  end
  for i, value in pairs(values) do write(home, i, value) end
  state.order = order
  let_go(home, lora)
end

--- Keeps a merged lora in the weights for good. Weights that others are merged into are summed again,
--- the others last.
---@param lora table
function merge.settle(lora)
  local home = lora.weights
  local state = merged[home]
  local order, base, values = { table.unpack(state.order) }, {}, {}
  table.remove(order, place_of(order, lora))
  for _, i in ipairs(indices(lora)) do
    if is_merged_elsewhere(order, lora, i) then
      base[i] = computed(state.base[i], i, { lora })
      values[i] = computed(base[i], i, order)
    end
  end
  for i, value in pairs(values) do
    write(home, i, value)
    state.base[i] = base[i]
  end
  state.order = order
  let_go(home, lora)
end

return merge
