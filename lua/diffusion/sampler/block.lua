--- Blocks of steps of DPM-Solver whose levels in between are those of the grid (singlestep.lua).
-- A block starts at level t with m. A = (m_p - m)/r_p and B = (m_q - m)/r_q are differences to later
-- levels, and r their places in units of h, the distance to s. Order 2 weighs A by g(1)/2
-- ("midpoint") or g(2) ("heun"). Order 3 weighs B by g(2), or with
--   D' = (r_q A - r_p B)/(r_q - r_p),  D'' = 2 (B - A)/(r_q - r_p)
-- adds g(2) D' + g(3) D''. Each step of a block starts again from the block's start.
local fail = require "diffusion.fail"
local order = require "diffusion.sampler.order"

local block = {}

--- The options of solvers that work in blocks.
block.rules = {
  order = { "integer", default = 2, min = 1, max = 3, text = "steps that make one block" },
  orders = { "table", as = "integer[]", default_text = "1, 2, ... order, repeated",
    text = "place of each step in its block" },
  form = order.form,
  lower_order_final = { "boolean", default = true, text = "the last step is a block of its own if none is left over" },
}

block.remembers = { block = { "x", "t" }, x = {}, t = {} }

--- The weights of a block's values, newest first.
---@param g fun(k: integer): number
---@param h number
---@param values {place: number}[]
---@param form string
---@return number[]
function block.weights(g, h, values, form)
  local start, n = values[#values].place, #values
  if n == 1 then return { g(1) } end
  local r = (values[1].place - start) / h
  if n == 2 or form == "midpoint" then
    local w = (n == 3 and g(2) or form == "heun" and g(2) or g(1) / 2) / r
    return n == 2 and { w, g(1) - w } or { w, 0, g(1) - w }
  end
  local q = (values[2].place - start) / h
  local a = (g(2) * r - 2 * g(3)) / (r - q) / q
  local b = (2 * g(3) - g(2) * q) / (r - q) / r
  return { b, a, g(1) - a - b }
end

-- The place of a step in its block: 1, 2 ... order, counted from the first step. If no step is left
-- over for the last block, the last step is a block of its own.
local function place_of(opts, pair)
  if not opts.orders then
    local over = pair.n % opts.order == 0 and opts.lower_order_final and pair.i == pair.n
    return over and 1 or (pair.i - 1) % opts.order + 1
  end
  local k = opts.orders[pair.i]
  if #opts.orders ~= pair.n or not math.tointeger(k) or k < 1 or k > 3 then
    fail.raise("singlestep: orders must be %d whole numbers in 1..3, one a step, but number %d of %d is %s", pair.n,
      pair.i, #opts.orders, tostring(k))
  end
  return k
end

--- Puts a value before those of its block, or begins a block at x with it.
---@param history table sets block, and x and t of its start
---@param opts table the sampler's
---@param pair table
---@param x diffusion.tensor
---@param t number level of x
---@param value {value: diffusion.tensor, place: number}
---@return table[] values of the block, newest first
function block.add(history, opts, pair, x, t, value)
  local earlier = history.block or {}
  local k = math.min(place_of(opts, pair), #earlier + 1)
  if k > 1 and earlier[#earlier].place == -math.huge then k = 1 end -- no signal there, so no expansion
  if k == 1 then history.x, history.t = x, t end
  history.block = table.move(earlier, 1, k - 1, 2, { value })
  return history.block
end

return block
