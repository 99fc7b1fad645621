-- Records of networks of other libraries (spec/peers/record.py), and this library's answers through
-- the reader of their files.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local foreign = require "diffusion.hub.foreign"
local model = require "diffusion.nn.model"
local peers = require "diffusion.nn.peers"
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

local function probes(shapes)
  local out = {}
  for key, shape in pairs(shapes) do out[key] = values.uniform(shape, PROBE) end
  return out
end

-- The buffers of a case, which hold filters that make images smaller.
local function with_buffers(case, tensors)
  for key, shape in pairs(case.buffers or {}) do tensors[key] = d.zeros(shape) end
  return tensors
end

-- Sums of their gradients by our names: {sum(g u), sum(|g|)}.
local function sums_by_name(case, name_of)
  local out = {}
  for i, key in ipairs(case.keys) do
    local name, row = name_of(key), case.get "sums"[i]
    local own = out[name] or { 0, 0 }
    out[name] = { own[1] + row[1], own[2] + row[2] }
  end
  return out
end

-- q, k and v of one weight of theirs count as one.
local function group_of(name) return (name:gsub("%.[qkv]%.(%a+)$", ".qkv.%1")) end

-- The same sums of ours.
local function own_sums(net, probe)
  local out, total, n = {}, 0, 0
  for name, p in net:parameters() do
    local g = (p.grad or d.zeros(p:shape())):to(core.real)
    local group, size = group_of(name), g:abs():sum():item()
    local own = out[group] or { 0, 0, 0 }
    out[group] = { own[1] + (g * probe[name]:to(core.real)):sum():item(), own[2] + size, own[3] + g:numel() }
    total, n = total + size, n + g:numel()
  end
  return out, total / n
end

-- The largest difference of those sums, relative to sum(|g|).
local function gradient_ratio(case, net, probe, name_of)
  local theirs, worst, where = sums_by_name(case, name_of), 0, "none"
  local ours, typical = own_sums(net, probe)
  for name, got in pairs(ours) do
    local want = assert(theirs[name], name)
    local scale = math.max(want[2], typical * got[3])
    for i = 1, 2 do
      local off = math.abs(got[i] - want[i]) / scale
      if off > worst then worst, where = off, name end
    end
    theirs[name] = nil
  end
  assert(next(theirs) == nil, next(theirs))
  return worst, where
end

local function inputs_of(case, net)
  local t, class = {}, case.classes and {}
  local offset = net:config().time_offset or 0
  for k, v in ipairs(case.t) do t[k] = v + offset end
  for k, v in ipairs(case.classes or {}) do class[k] = v + 1 end
  local extra = { class = class, x0 = case.self_cond and cases.input(case.image, 2) or nil }
  if case.augment then extra.augment = values.uniform(case.augment, 3):to(core.real) end
  return cases.input(case.image, 1), t, extra
end

--- The differences of a case from this library, relative to the largest number: of the output, of the
--- gradient at x, and of the gradients of parameters.
---@param case table
---@param given table options of d.hub.load
---@param special table<string, string> our names of their keys, where patterns don't tell
---@return number forward
---@return number dx
---@return number gradients
---@return string where the parameter that is off most
function M.compare(case, given, special)
  local parts = read(with_buffers(case, values.filled(case.shapes)), given)
  local probe = read(with_buffers(case, probes(case.shapes)), given).unet:state()
  local net = parts.unet
  model.trains(net)
  local x, t, extra = inputs_of(case, net)
  local y, dx
  local loss = d.record(function()
    y = net(x, t, extra)
    return cases.total({ "y" }, { y = y })
  end)
  loss:backward()
  dx = d.grad(function(x_) return cases.total({ "y" }, { y = net(x_, t, extra) }) end, x)
  local function name_of(key)
    if special[key] then return special[key] end
    key = key:gsub("^model%.", ""):gsub("%f[%w_]qkv%.", "attend.qkv.")
    return group_of(peers.ours(parts.entry, key))
  end
  local gradients, where = gradient_ratio(case, net, probe, name_of)
  return cases.ratio(cases.theirs(y), case.get "y"), cases.ratio(cases.theirs(dx), case.get "y.dx"), gradients, where,
    parts
end

return M
