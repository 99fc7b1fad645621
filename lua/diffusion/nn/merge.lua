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

local function is_in(order, i)
  for _, lora in ipairs(order) do
    for _, a in ipairs(lora.adapters) do if a.index == i then return true end end
  end
  return false
end

-- The order without a lora.
local function without(order, lora)
  local out = {}
  for _, other in ipairs(order) do if other ~= lora then out[#out + 1] = other end end
  return out
end

-- A copy of the values that are kept, for changes that only last if all goes well.
local function copied(base)
  local out = {}
  for i, value in pairs(base) do out[i] = value end
  return out
end

local function state_of(home)
  merged[home] = merged[home] or { order = {}, base = {} }
  return merged[home]
end

-- Writes values by parameter number. If memory ends, nothing has changed. Adopted values are
-- replaced, since they are windows on a file or on tensors of others.
local function commit(home, values, order, base)
  local state, list, tensors = state_of(home), {}, {}
  for i, value in pairs(values) do list[#list + 1], tensors[#tensors + 1] = i, value end
  fail.call(home.put, home, list, tensors)
  state.order, state.base = order, base
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
  local state = state_of(home)
  local order, base, values = { table.unpack(state.order) }, copied(state.base), {}
  order[#order + 1] = lora
  for _, i in ipairs(indices(lora)) do
    base[i] = base[i] or kept(home, i)
    values[i] = computed(base[i], i, order)
  end
  commit(home, values, order, base)
end

--- Takes a merged lora out of the weights.
---@param lora table
function merge.take(lora)
  local home = lora.weights
  local state = state_of(home)
  check_unchanged(home, state, lora)
  local order, base, values = without(state.order, lora), copied(state.base), {}
  for _, i in ipairs(indices(lora)) do
    local others = is_in(order, i)
    values[i] = others and computed(base[i], i, order) or base[i]
    if not others then base[i] = nil end
  end
  commit(home, values, order, base)
end

--- Keeps a merged lora in the weights for good. Weights that others are merged into are summed again,
--- the others last.
---@param lora table
function merge.settle(lora)
  local home = lora.weights
  local state = state_of(home)
  local order, base, values = without(state.order, lora), copied(state.base), {}
  for _, i in ipairs(indices(lora)) do
    base[i] = is_in(order, i) and computed(base[i], i, { lora }) or nil
    if base[i] then values[i] = computed(base[i], i, order) end
  end
  commit(home, values, order, base)
end

return merge
