-- Records of a peer's models, as spec/peers/record.py writes them, and this library's answers to the
-- same configurations, values and inputs.
local d = require "diffusion"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local values = require "spec.support.peer_values"

local M = {}

local COTANGENT, PROBE = 101, 102

--- Images of torch as ours, and ours as torch's; other tensors stay.
function M.ours(x) return x:dim() == 4 and x:permute(1, 3, 4, 2):contiguous() or x end
function M.theirs(x) return x:dim() == 4 and x:permute(1, 4, 2, 3):contiguous() or x end

--- Inputs in [-1, 1) for a shape of torch, in our layout.
function M.input(shape, seed) return M.ours(values.uniform(shape, seed):to(core.real)) end

--- The cases of a file: its metadata, and functions that read its tensors.
---@param path string
---@return table[] cases {class, config, x, keys = list, shapes = by key, get(name) -> tensor or nil}
function M.read(path)
  local tensors, metadata = assert(d.load(path))
  local cases, tables = json.decode(metadata.cases), json.decode(metadata.tables)
  for k, case in ipairs(cases) do
    local shapes = {}
    case.keys = tables[case.keys + 1]
    for i, key in ipairs(case.keys) do shapes[key] = case.shapes[i] end
    case.shapes = shapes
    function case.get(name) return tensors[("%d.%s"):format(k - 1, name)] end
  end
  return cases
end

--- The model of a case, with the peer's values. Its keys must be exactly the peer's.
---@param case table
---@param name string that of the family
---@return any model
---@return table entry of the family for diffusers
function M.model(case, name)
  local known = family.find(name)
  local entry = known.peers.diffusers
  local implied = assert(peers.implied(entry, case.class))
  local options, unknown = peers.options(known, entry, case.config)
  for key, value in pairs(implied) do options[key] = value end
  assert(#unknown == 0, table.concat(unknown, ", "))
  local model = assert(peers.model(known, options, values.filled(case.shapes)))
  return model, entry
end

--- The number of tensors and of elements of a family's network. No values are made.
---@param name string
---@param options table?
---@return integer tensors
---@return integer elements
---@return table<string, integer[]> shapes by the peer's keys
function M.size(name, options)
  local tensors, elements, shapes, known = 0, 0, {}, family.find(name)
  family.model(known, options, { tensors = math.maxinteger, find = function(parameters)
    for _, p in ipairs(parameters) do
      local n = 1
      for _, side in ipairs(p[2]) do n = n * side end
      tensors, elements = tensors + 1, elements + n
      shapes[peers.theirs(known.peers.diffusers, p[1])] = peers.shape(p[2])
    end
    return nil, "counted"
  end })
  return tensors, elements, shapes
end

--- The largest difference over the largest number.
function M.ratio(got, want)
  got, want = got:detach():to(core.real), want:to(core.real)
  if want:numel() == 0 then return 0 end
  return (got - want):abs():max():item() / math.max(want:abs():max():item(), 1e-30)
end

--- sum(y c) of outputs in the order of `names`, with the peer's cotangents.
---@param names string[]
---@param outputs table<string, any> in our layout
function M.total(names, outputs)
  local total
  for i, name in ipairs(names) do
    local y = M.theirs(outputs[name])
    local c = values.uniform(y:shape(), COTANGENT + i - 1):to(core.real)
    local part = (y * c):sum()
    total = total and total + part or part
  end
  return total
end

-- Sums of a parameter's gradient, in the peer's layout: sum(g u), sum(|g|).
local function sums(g, shape)
  local u = values.uniform(shape, PROBE):to(core.real)
  return (g * u):sum():item(), g:abs():sum():item()
end

-- The mean of |g| over all elements, for parameters whose exact gradient is zero.
local function typical(case)
  local total, n = 0, 0
  for i, key in ipairs(case.keys) do
    local size = 1
    for _, side in ipairs(case.shapes[key]) do size = size * side end
    total, n = total + case.get "sums"[i][2], n + size
  end
  return total / n
end

-- A model's gradients by the peer's keys, in its layout.
local function gradients_of(case, model, entry)
  local state, out = {}, {}
  for name, p in model:parameters() do state[name] = p.grad or d.zeros(p:shape()) end
  for key, g in pairs(peers.saved(entry, state)) do
    local shape = assert(case.shapes[key], key)
    out[key] = g:contiguous():reshape(shape)
  end
  return out
end

--- The largest difference of the sums of gradients, relative to sum(|g|), and its key. A sum that is
--- near 0 is compared with the mean of |g| over the model.
---@param case table
---@param model any after a backward pass
---@param entry table
function M.gradient_ratio(case, model, entry)
  local worst, where, floor = 0, "none", typical(case)
  local gradients = gradients_of(case, model, entry)
  for i, key in ipairs(case.keys) do
    local g, want = gradients[key], case.get "sums"[i]
    local probe, size = sums(g, case.shapes[key])
    local scale = math.max(want[2], floor * g:numel())
    local off = math.max(math.abs(probe - want[1]), math.abs(size - want[2])) / scale
    if off > worst then worst, where = off, key end
  end
  return worst, where
end

return M
