-- Independent blocks of coordinates, each with its own oracle.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local base = require "diffusion.oracle.base"
local draw = require "diffusion.oracle.draw"

local family = {}

-- fn(part, its columns of x) for each part, in a list.
local function each(o, x, fn)
  local out, from = {}, 1
  for i, part in ipairs(o.parts) do
    out[i] = fn(part, x:narrow(2, from, part.D))
    from = from + part.D
  end
  return out
end

local function added(list)
  local sum = list[1]
  for i = 2, #list do sum = sum + list[i] end
  return sum
end

function family.mean(o, x, a, s)
  return core.ops.cat(each(o, x, function(part, y) return part:posterior_mean(y, a, s) end), 2)
end

function family.marginal(o, x, a, s)
  return added(each(o, x, function(part, y) return part:log_prob(y, { a = a, s = s }) end))
end

function family.density(o, x)
  return added(each(o, x, function(part, y) return part:log_prob(y) end))
end

function family.draw(o, n, options)
  options = draw.counted(options)
  local out = {}
  for i, part in ipairs(o.parts) do out[i] = part:sample(n, options) end
  return core.ops.cat(out, 2)
end

-- Entropies add. If some are means over samples, the squares of their errors add too.
function family.entropy(o, options)
  local sum, squares = 0, 0
  for _, part in ipairs(o.parts) do
    local h, deviation = part:entropy(options)
    sum, squares = sum + h, squares + (deviation or 0) ^ 2
  end
  return sum, squares > 0 and math.sqrt(squares) or nil
end

function family.text(o)
  local out = {}
  for i, part in ipairs(o.parts) do out[i] = tostring(part) end
  return ("product in %d dimensions: %s"):format(o.D, table.concat(out, " x "))
end

--- Independent blocks of coordinates: those of the first part, then of the second, ...
---@param parts diffusion.oracle[] one or more
---@return diffusion.oracle
---@usage local o = d.oracle.product{ d.oracle.gaussian{ std = 2 }, d.oracle.moons{} }
--- print(o, o.D, o:sample(4, { seed = 1 }))
local function product(parts)
  if type(parts) ~= "table" or #parts == 0 then
    fail.raise("bad argument #1 to 'product' (a list of oracles expected, got %s)", kind.shown(parts))
  end
  local D = 0
  for i, part in ipairs(parts) do
    if kind.of(part) ~= "oracle" then fail.raise("product: part %d is %s, not an oracle", i, kind.shown(part)) end
    D = D + part.D
  end
  return base.new(family, { D = D, work = D, parts = table.move(parts, 1, #parts, 1, {}) })
end

return { product = product }
