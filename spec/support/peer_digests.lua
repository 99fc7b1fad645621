-- Records of a class of the peer, as spec/peers/digests.py writes them, and this library's answers to the same
-- configurations, values and inputs.
local d = require "diffusion"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local values = require "spec.support.peer_values"

local digests = {}

local COTANGENT, PROBE = 101, 102

--- The cases of a file, each with a function get(name) for its tensors.
function digests.read(path)
  local tensors, metadata = assert(d.load(path))
  local cases = json.decode(metadata.cases)
  for k, case in ipairs(cases) do
    function case.get(name) return tensors[("%d.%s"):format(k - 1, name)] end
  end
  return cases
end

local function shown(value)
  if value == json.null then return "null" end
  if type(value) ~= "table" then return tostring(value) end
  local words = {}
  for i, one in ipairs(value) do words[i] = shown(one) end
  return "[" .. table.concat(words, ",") .. "]"
end

--- A case as one line: its options.
function digests.text(case)
  local words = {}
  for key, value in pairs(case.config) do
    if not key:find "^_" then words[#words + 1] = key .. "=" .. shown(value):gsub("^%[(.*)%]$", "%1") end
  end
  table.sort(words)
  return table.concat(words, " ")
end

local function fnv(h, text)
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001B3 end
  return h
end

--- Returns the digest of {key = shape} as digests.py makes it, and how many tensors and elements there are.
function digests.digest(shapes)
  local keys, h, elements = {}, 0xCBF29CE484222325, 0
  for key in pairs(shapes) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local n = 1
    for _, size in ipairs(shapes[key]) do n = n * size end
    elements = elements + n
    h = fnv(h, ("%s %s\n"):format(key, table.concat(shapes[key], ",")))
  end
  return ("%016x"):format(h), #keys, elements
end

--- The largest difference over the largest number; NaN if one is NaN.
function digests.ratio(got, want)
  got, want = got:detach():to(core.real), want:to(core.real)
  return (got - want):abs():max():item() / math.max(want:abs():max():item(), 1e-30)
end

--- Images of torch as ours, and ours as torch's; other tensors stay.
function digests.ours(x) return x:dim() == 4 and x:permute(1, 3, 4, 2):contiguous() or x end
function digests.theirs(x) return x:dim() == 4 and x:permute(1, 4, 2, 3):contiguous() or x end

--- Inputs in [-1, 1) for a shape of torch, in our layout.
function digests.uniform(shape, seed) return digests.ours(values.uniform(shape, seed):to(core.real)) end

-- ==== one family =========================================================================

local Records = {}
Records.__index = Records

--- The options of a config, which must have no key that isn't one.
function Records:options(config)
  local given = {}
  for key, value in pairs(config) do if not key:find "^_" then given[key] = value end end
  local options, unknown = peers.options(self.known, self.entry, given)
  assert(#unknown == 0, table.concat(unknown, ", "))
  return options
end

--- Returns the keys of the class with their shapes there, from our network alone. No values are made.
---@return table<string, integer[]>
function Records:shapes(options)
  local shapes = {}
  local m, message = family.model(self.known, options, { tensors = math.maxinteger, find = function(parameters)
    for _, p in ipairs(parameters) do shapes[peers.theirs(self.entry, p[1])] = peers.shape(p[2]) end
    return nil, "listed"
  end })
  assert(not m and message == "listed")
  return shapes
end

--- The peer's values by its keys.
function Records:values(options, shapes)
  local tensors = values.filled(shapes)
  if self.hooks.filled then self.hooks.filled(tensors, options) end
  return tensors
end

--- The model of options, with the peer's values.
function Records:model(options, more)
  return assert(peers.model(self.known, options, self:values(options, self:shapes(options)), more))
end

-- Gradients by the peer's keys, in its layout.
local function gradients(self, model)
  local out = {}
  for path, p in model:parameters() do
    out[peers.theirs(self.entry, path)] = peers.given(p.grad or d.zeros(p:shape())):contiguous()
  end
  return out
end

-- The largest difference of the sums of gradients. Each is relative to sum(|g|) of its tensor, or to that
-- of a tensor of typical gradients, if the exact gradient is zero.
local function gradient_ratio(self, case, model, shapes)
  local keys, all, elements, worst, where = {}, 0, 0, 0, "none"
  for key in pairs(shapes) do keys[#keys + 1] = key end
  table.sort(keys)
  local own, want = gradients(self, model), case.get "sums"
  for i, key in ipairs(keys) do all, elements = all + want[i][2], elements + own[key]:numel() end
  for i, key in ipairs(keys) do
    local g = own[key]
    local probe = (g * values.uniform(shapes[key], PROBE):to(core.real)):sum():item()
    local scale = math.max(want[i][2], all / elements * g:numel())
    local off = math.max(math.abs(probe - want[i][1]), math.abs(g:abs():sum():item() - want[i][2])) / scale
    if not (off <= worst) then worst, where = off, key end
  end
  return worst, where
end

local function checked(self, case, options)
  local shapes = self:shapes(options)
  local digest, tensors, elements = digests.digest(shapes)
  assert(digest == case.digest and tensors == case.tensors and elements == case.elements, "other keys or shapes")
  return assert(peers.model(self.known, options, self:values(options, shapes))):eval(), shapes
end

-- sum(y c), with the peer's cotangent.
local function total(self, case, options, model, leaves)
  local y = digests.theirs(self.hooks.call(case, options, model, leaves))
  return (y * values.uniform(y:shape(), COTANGENT):to(core.real)):sum(), y
end

-- The largest difference of the gradients of inputs, and the input.
local function leaf_ratio(self, case, options, model)
  local names, xs, worst, where = {}, {}, 0, "none"
  for i, one in ipairs(self.hooks.leaves(case, options)) do names[i], xs[i] = table.unpack(one) end
  local slopes = { d.grad(function(...)
    local leaves = {}
    for i, x in ipairs { ... } do leaves[names[i]] = x end
    return (total(self, case, options, model, leaves))
  end, table.unpack(xs)) }
  for i, leaf in ipairs(names) do
    local off = digests.ratio(digests.theirs(slopes[i]), case.get("d" .. leaf))
    if not (off <= worst) then worst, where = off, leaf end
  end
  return worst, where
end

--- Answers a case. Returns the distances of the output, of the gradients of inputs and of those of parameters. It
--- also returns the key and the input that are farthest away.
function Records:answer(case)
  local options = self:options(case.config)
  local model, shapes = checked(self, case, options)
  local leaves, y = {}, nil
  for _, one in ipairs(self.hooks.leaves(case, options)) do leaves[one[1]] = one[2] end
  d.record(function()
    local sum
    sum, y = total(self, case, options, model, leaves)
    return sum
  end):backward()
  local dx, leaf = leaf_ratio(self, case, options, model)
  local sums, where = gradient_ratio(self, case, model, shapes)
  return digests.ratio(y, case.get "y"), dx, sums, where, leaf
end

--- The records of one family.
---@param name string the family's
---@param hooks table {call = function (case, options, model, leaves) -> y in our layout,
---  leaves = function (case, options) -> {{name, tensor in our layout}, ...},
---  filled = function (tensors, options) that changes the peer's values, or nil}
---@return table M the functions above without their first argument
function digests.of(name, hooks)
  local known = family.find(name)
  local self = setmetatable({ known = known, entry = known.peers.diffusers, hooks = hooks }, Records)
  local M = { read = digests.read, text = digests.text, digest = digests.digest, ratio = digests.ratio }
  for method, fn in pairs(Records) do
    if method ~= "__index" then M[method] = function(...) return fn(self, ...) end end
  end
  return M
end

return digests
