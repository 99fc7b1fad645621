-- assert.allclose(expected, actual [, {rtol = 1e-5, atol = 1e-8}]) compares tensors, nested lists
-- and numbers. They need the same shape, and |actual - expected| <= atol + rtol |expected| for each
-- element. NaN equals NaN. A failure shows the shapes, or the largest difference and its position.
local assert = require "luassert"
local say = require "say"

local function plain(x)
  if type(x) == "userdata" then return x:totable() end
  return x
end

-- Lists the numbers of nested lists in order. Returns their shape, from the first
-- elements.
local function flatten(x, out)
  if type(x) ~= "table" then
    out[#out + 1] = x
    return {}
  end
  local inner = {}
  for i = 1, #x do
    local shape = flatten(x[i], out)
    if i == 1 then inner = shape end
  end
  return { #x, table.unpack(inner) }
end

local function shape_text(shape) return "[" .. table.concat(shape, ",") .. "]" end

local function place(index, shape)
  local at = {}
  index = index - 1
  for k = #shape, 1, -1 do
    at[k] = index % shape[k] + 1
    index = index // shape[k]
  end
  return shape_text(at)
end

-- How far `b` exceeds its tolerance around `a`; at most 0 if it is close.
local function excess(a, b, tolerance)
  if a == b or (a ~= a and b ~= b) then return 0 end
  local over = math.abs(b - a) - (tolerance.atol + tolerance.rtol * math.abs(a))
  return over == over and over or math.huge
end

local function compare(expected, actual, tolerance)
  local a, b = {}, {}
  local shape, other = flatten(plain(expected), a), flatten(plain(actual), b)
  if shape_text(shape) ~= shape_text(other) then
    return ("shapes differ: expected %s, got %s"):format(shape_text(shape), shape_text(other))
  end
  local count, worst, over = 0, nil, 0
  for i = 1, #a do
    local e = excess(a[i], b[i], tolerance)
    if e > 0 then count = count + 1 end
    if e > over then worst, over = i, e end
  end
  if not worst then return nil end
  return ("%d of %d differ; most at %s: expected %.9g, got %.9g, difference %.3g (atol %g, rtol %g)")
    :format(count, #a, place(worst, shape), a[worst], b[worst], math.abs(b[worst] - a[worst]),
      tolerance.atol, tolerance.rtol)
end

local function allclose(state, arguments)
  local tolerance = { rtol = 1e-5, atol = 1e-8 }
  for name, value in pairs(arguments[3] or {}) do
    if not tolerance[name] then error("allclose has no tolerance " .. name) end
    tolerance[name] = value
  end
  local message = compare(arguments[1], arguments[2], tolerance)
  state.failure_message = message or "everything is close"
  return message == nil
end

say:set("assertion.allclose.positive", "(not all close)")
say:set("assertion.allclose.negative", "(all close)")
assert:register("assertion", "allclose", allclose,
  "assertion.allclose.positive", "assertion.allclose.negative")
