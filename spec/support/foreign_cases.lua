-- Records of networks of other libraries (spec/peers/record.py), and this library's answers through
-- the reader of their files.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local foreign = require "diffusion.hub.foreign"
local freezing = require "diffusion.nn.freezing"
local values = require "spec.support.peer_values"

local M = {}

local PROBE = 102

-- The network of a file with these tensors.
local function read(tensors, given)
  local path = os.tmpname()
  assert(d.save(path, tensors))
  local parts, message = foreign.load(path, given)
  os.remove(path)
  return assert(parts, message)
end

local function each(shapes, value)
  local out = {}
  for key, shape in pairs(shapes) do out[key] = value(key, shape) end
  return out
end

-- The buffers of a case, which hold filters that make images smaller, or tables that are computed.
local function with_buffers(case, tensors)
  for key, shape in pairs(case.buffers or {}) do
    tensors[key] = key == "pos_embed" and M.places(shape) or d.zeros(shape)
  end
  return tensors
end

--- DiT's table of places, for a square.
function M.places(shape)
  local side = math.floor(shape[2] ^ 0.5 + 0.5)
  local net = d.network { inputs = { { "x", whole = true } }, build = function(n) return n:places(n.x) end }
  return net(d.zeros(1, side, side, shape[3])):reshape(shape):to "f32"
end

-- The parameters that hold the same keys, as lists: {keys = set, names = list, copies = their number for
-- each key}. A file whose every tensor is the number of its key tells them.
local function groups_of(case, given)
  local number = {}
  for i, key in ipairs(case.keys) do number[key] = i end
  local state = read(with_buffers(case, each(case.shapes, function(key, shape) return d.full(shape, number[key]) end)),
    given).unet:state()
  local group_of_key, groups = {}, {}
  for name, x in pairs(state) do
    local group
    for _, value in ipairs(x:flatten():totable()) do
      local known = group_of_key[value]
      group = group or known or { keys = {}, names = {}, elements = 0 }
      assert(not known or known == group, "keys that share several parameters")
      if value > 0 then group_of_key[value], group.keys[value] = group, true end -- 0: added here
    end
    group.elements = group.elements + x:numel()
    group.names[#group.names + 1] = name
    groups[group] = true
  end
  return groups
end

-- Sums of a group's gradients, theirs and ours: sum(g u), sum(|g|).
local function sums_of(case, group, grads, probe)
  local want, got, elements = { 0, 0 }, { 0, 0 }, 0
  for k in pairs(group.keys) do
    local row, size = case.get "sums"[k], 1
    for _, side in ipairs(case.shapes[case.keys[k]]) do size = size * side end
    want, elements = { want[1] + row[1], want[2] + row[2] }, elements + size
  end
  for _, name in ipairs(group.names) do
    local g = grads[name]
    got = { got[1] + (g * probe[name]:to(core.real)):sum():item(), got[2] + g:abs():sum():item() }
  end
  return want, got, elements
end

-- The largest difference of those sums, relative to sum(|g|). Parameters that are copies of one of theirs
-- have its gradient together, so only their first sum is compared.
local function gradient_ratio(case, net, probe, groups)
  local grads, total, n, worst, where = {}, 0, 0, 0, "none"
  for name, p in net:parameters() do
    grads[name] = (p.grad or d.zeros(p:shape())):to(core.real)
    total, n = total + grads[name]:abs():sum():item(), n + p:numel()
  end
  local left = #case.keys
  for group in pairs(groups) do
    local want, got, elements = sums_of(case, group, grads, probe)
    local scale = math.max(want[2], total / n * elements)
    for i = 1, group.elements > elements and 1 or 2 do
      local off = math.abs(got[i] - want[i]) / scale
      if off > worst then worst, where = off, group.names[1] end
    end
    for _ in pairs(group.keys) do left = left - 1 end
  end
  assert(left == 0, left .. " keys are in no parameter")
  return worst, where
end

--- The inputs of a case for our network.
function M.inputs(case, net)
  local t, class = {}, case.classes and {}
  local offset = net:config().time_offset or 1
  for k, v in ipairs(case.t) do t[k] = v + offset end
  for k, v in ipairs(case.classes or {}) do class[k] = v + 1 end
  local extra = { class = class, x0 = case.self_cond and cases.input(case.image, 2) or nil }
  if case.augment then extra.augment = values.uniform(case.augment, 3):to(core.real) end
  return cases.input(case.image, 1), t, extra
end

--- Compares a case with this library. The differences are relative to the largest number. They are those of
--- the output, of the gradient at x, and of the gradients of parameters.
---@param case table
---@param given table options of d.hub.load
---@return number forward
---@return number dx
---@return number gradients
---@return string name the parameter that is off most
function M.compare(case, given)
  local net = read(with_buffers(case, values.filled(case.shapes)), given).unet
  local probe = read(with_buffers(case, each(case.shapes, function(_, shape) return values.uniform(shape, PROBE) end)),
    given).unet:state()
  freezing.trains(net)
  net:eval() -- no class is forgotten
  local x, t, extra = M.inputs(case, net)
  local y
  d.record(function()
    y = net(x, t, extra)
    return cases.total({ "y" }, { y = y })
  end):backward()
  local dx = d.grad(function(x_) return cases.total({ "y" }, { y = net(x_, t, extra) }) end, x)
  local gradients, where = gradient_ratio(case, net, probe, groups_of(case, given))
  return cases.ratio(cases.theirs(y), case.get "y"), cases.ratio(cases.theirs(dx), case.get "y.dx"), gradients, where
end

return M
