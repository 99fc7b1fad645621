-- Grids given by a formula in t, the same for every schedule. The formula is a fraction p/q of
-- integers, rounded half up without floats, so N steps are N steps for every N <= T.
local made = require "diffusion.grid.made"
local opts = require "diffusion.opts"

local formula = {}

-- Time number j of N as p and q. j = 1 is the earliest.
local formulas = {
  trailing = function(j, N, T) return T * j, N end,
  leading = function(j, N, T) return 1 + (j - 1) * (T // N), 1 end,
  linspace = function(j, N, T)
    if N == 1 then return T, 1 end
    return N - 1 + (j - 1) * (T - 1), N - 1
  end,
  -- the time is j itself as long as the parabola rises by less than one level per step
  quadratic = function(j, N, T) return math.max(j, T * j * j // (N * N)), 1 end,
}

local round = { "boolean", default = true, text = "rounds times to whole levels; false leaves them real" }
local rules = {
  trailing = opts.declare("grid_trailing", { last = made.last, round = round }),
  leading = opts.declare("grid_leading", { last = made.last }),
  linspace = opts.declare("grid_linspace", { last = made.last, round = round }),
  quadratic = opts.declare("grid_quadratic", { last = made.last }),
}

local function by_formula(name, source, N, o)
  local what = "grid." .. name
  local schedule, T = made.source(what, source)
  N = made.count(what, N, T)
  o = opts.check(what, o, rules[name], 3)
  local times = {}
  for i = 1, N do
    local p, q = formulas[name](N - i + 1, N, T)
    times[i] = (o.round == false and p % q ~= 0) and p / q or (2 * p + q) // (2 * q)
  end
  return made.checked(name, times, T, schedule, o.last)
end

--- T, T - T/N, ..., T/N, rounded (half up). It starts from pure noise (Lin et al. 2024, table 2).
---@param source diffusion.process|diffusion.schedule|integer a process, a schedule, or its T
---@param N integer number of steps, 1..T
---@param o diffusion.grid_trailing_options?
---@return diffusion.grid
---@usage print(d.grid.trailing(d.schedule.cosine{}, 5))
function formula.trailing(source, N, o) return (by_formula("trailing", source, N, o)) end

--- 1 + (N-1) k, ..., 1 + k, 1 with k = floor(T/N). The first step starts below T (Song et al. 2021).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T
---@param o diffusion.grid_leading_options?
---@return diffusion.grid
function formula.leading(source, N, o) return (by_formula("leading", source, N, o)) end

--- From T to 1 in N equal steps, rounded (half up).
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T; a single step starts from T
---@param o diffusion.grid_linspace_options?
---@return diffusion.grid
function formula.linspace(source, N, o) return (by_formula("linspace", source, N, o)) end

--- floor(T j^2 / N^2) for j = N, ..., 1: most steps are at low noise (Song et al. 2021, sec. D.2).
--- The earliest times, for which that would repeat a level, are j itself.
---@param source diffusion.process|diffusion.schedule|integer
---@param N integer number of steps, 1..T
---@param o diffusion.grid_quadratic_options?
---@return diffusion.grid
function formula.quadratic(source, N, o) return (by_formula("quadratic", source, N, o)) end

return formula
