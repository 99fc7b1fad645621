--- DPM-Solver and DPM-Solver++ whose levels in between are those of the grid. k steps of the grid
--- make one step of order k, with one evaluation each. DPM-Solver-fast counts its steps this way
--- (Lu et al. 2022, "DPM-Solver", sec. 3.4).
-- A block starts at level t with m. A = (m_p - m)/r_p and B = (m_q - m)/r_q are differences to later
-- levels, and r their places in units of h, the distance to s. Order 2 weighs A by g(1)/2
-- ("midpoint") or g(2) ("heun"). Order 3 weighs B by g(2), or with
--   D' = (r_q A - r_p B)/(r_q - r_p),  D'' = 2 (B - A)/(r_q - r_p)
-- adds g(2) D' + g(3) D''. Each step of a block starts again from the block's start. At s = 0 the
-- step returns x0.
local fail = require "diffusion.fail"
local expansion = require "diffusion.sampler.expansion"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"
local order = require "diffusion.sampler.order"

-- The weights of a block's values, newest first.
local function weights(g, h, block, form)
  local start, n = block[#block].place, #block
  if n == 1 then return { g(1) } end
  local r = (block[1].place - start) / h
  if n == 2 or form == "midpoint" then
    local w = (n == 3 and g(2) or form == "heun" and g(2) or g(1) / 2) / r
    return n == 2 and { w, g(1) - w } or { w, 0, g(1) - w }
  end
  local q = (block[2].place - start) / h
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

local function singlestep(kind)
  return function(denoise, process, opts)
    local level = levels.of(process)
    return function(x, pair, history)
      local t, s = level(pair.t), level(pair.s)
      local x0, eps = denoise(x, t.t)
      local earlier = history.block or {}
      local k = math.min(place_of(opts, pair), #earlier + 1)
      if k > 1 and earlier[#earlier].place == -math.huge then k = 1 end -- no signal there, so no expansion
      if k == 1 then history.x, history.t = x, t.t end
      local block = table.move(earlier, 1, k - 1, 2, { { value = kind == "x0" and x0 or eps, place = t.lambda } })
      history.block = block
      if s.t == 0 then return x0 end
      local start = level(history.t)
      local keep, scale, g = expansion[kind](start, s)
      local w = weights(g, s.lambda - start.lambda, block, opts.form)
      return multistep.sum(opts.mix, keep, history.x, scale, w, block)
    end
  end
end

local remembers = { block = { "x", "t" }, x = {}, t = {} }
local rules = {
  order = { "integer", default = 2, min = 1, max = 3, text = "steps that make one block" },
  orders = { "table", as = "integer[]", default_text = "1, 2, ... order, repeated",
    text = "place of each step in its block" },
  form = order.form,
  lower_order_final = { "boolean", default = true, text = "the last step is a block of its own if none is left over" },
}

return {
  dpmpp_singlestep = { make = singlestep "x0", source = 'Lu et al. 2022, "DPM-Solver++", at levels of the grid',
    order = 2, remembers = remembers, rules = rules },
  dpm_solver_singlestep = { make = singlestep "eps", source = 'Lu et al. 2022, "DPM-Solver", sec. 3.4',
    order = 2, signal = true, remembers = remembers, rules = rules },
}
