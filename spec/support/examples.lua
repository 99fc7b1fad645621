-- The examples of ops: core.op_examples[name] is argument lists in Lua, separated by ";".
-- x{2,3} is a tensor of normal numbers, pos{..} of positive ones, away{..} of numbers
-- away from 0, unit{..} of numbers in (0, 1), and int{low,high,{..}} of integers. Both
-- builds get the same numbers: 32-bit floats from Lua's own generator.
local d = require "diffusion"
local core = require "diffusion.core"

local M = {}

local function normal()
  return math.sqrt(-2 * math.log(1 - math.random())) * math.cos(2 * math.pi * math.random())
end

local function single(v) return (string.unpack("f", string.pack("f", v))) end

-- Nested lists of draw() in this shape.
local function filled(shape, draw, k)
  k = k or 1
  if k > #shape then return draw() end
  local out = {}
  for i = 1, shape[k] do out[i] = filled(shape, draw, k + 1) end
  return out
end

local draws = {
  x = normal,
  pos = function() return 0.5 + math.abs(normal()) end,
  away = function()
    local v = normal()
    return v + (v < 0 and -0.4 or 0.4)
  end,
  unit = function() return 0.05 + 0.9 * math.random() end,
}

local function real(shape, draw)
  return d.tensor(filled(shape, function() return single(draw()) end), { dtype = core.real })
end

-- The environment of an example. Its functions add float tensors to `leaves`, or return
-- those that are already there.
local function vocabulary(leaves)
  local env, k = { d = d, math = math }, 0
  for name, draw in pairs(draws) do
    env[name] = function(shape)
      k = k + 1
      leaves[k] = leaves[k] or real(shape, draw)
      return leaves[k]
    end
  end
  function env.int(range)
    local low, high = range[1], range[2]
    math.randomseed(low + 10 * high + 100 * #range[3])
    return d.tensor(filled(range[3], function() return math.random(low, high) end), { dtype = "i64" })
  end
  return env
end

-- Returns the arguments of an example, with the tensors of `leaves` or new ones.
local function arguments(text, leaves)
  return table.pack(assert(load("return " .. text, text, "t", vocabulary(leaves)))())
end

-- Random weights for a result. A plain sum would hide most of a gradient.
local function weights(y)
  math.randomseed(7)
  return real(y:shape(), normal)
end

--- The examples of one op: a list of { text, leaves, value(leaves), loss(leaves) }. value
--- is the op's result, and loss is its sum with fixed weights.
function M.of(name)
  local list = {}
  for text in core.op_examples[name]:gmatch "[^;]+" do
    local leaves = {}
    math.randomseed(#list + 1)
    arguments(text, leaves)
    local function value(given)
      local args = arguments(text, given)
      d.manual_seed(3)
      return (core.ops[name](table.unpack(args, 1, args.n)))
    end
    local w = weights(value(leaves))
    list[#list + 1] = {
      text = ("%s(%s)"):format(name, text:match "^%s*(.-)%s*$"),
      leaves = leaves, value = value,
      loss = function(given) return (value(given) * w):sum() end,
    }
  end
  return list
end

--- The names of all ops, in order.
function M.names()
  local names = {}
  for name in pairs(core.ops) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The gradients of an example's loss for its leaves, as tensors.
function M.gradients(example, loss)
  loss = loss or example.loss
  local n = #example.leaves
  local found = table.pack(d.grad(function(...) return loss { ... } end,
    table.unpack(example.leaves)))
  return table.move(found, 1, n, 1, {})
end

return M
