-- The laws of the t drawn for a batch. A law is made for a process, with its options:
--   draw(B)     t {B}. If the draw follows another law than that of the loss's mean, also each
--               sample's weight, {B}
--   points()    the law of the loss's mean as t and their probabilities, two lists, for the floor
--   whole       true if t are whole numbers
--   by_samples  true if each t is drawn by itself.
-- Laws of real t reach from 1 to T, or to the last t with signal if they are laws of sigma. A t
-- outside is set to the nearer end.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local choice = require "diffusion.objective.choice"
local opts = require "diffusion.opts"
local importance = require "diffusion.objective.importance"

local times = {}

-- Every t has the same probability.
local function every(T)
  return function()
    local t, p = {}, {}
    for i = 1, T do t[i], p[i] = i, 1 / T end
    return t, p
  end
end

-- ==== from uniform and normal numbers ========================================================

-- Midpoints of [0, 1] and the trapezoid rule over a normal law. Each gives numbers and probabilities.
local function even()
  local u, p, n = {}, {}, 4096
  for i = 1, n do u[i], p[i] = (i - 0.5) / n, 1 / n end
  return u, p
end

local function normal()
  local z, p, sum = {}, {}, 0
  for i = -900, 900 do
    z[#z + 1], p[#p + 1] = i / 100, math.exp(-(i / 100) ^ 2 / 2)
    sum = sum + p[#p]
  end
  for i, v in ipairs(p) do p[i] = v / sum end
  return z, p
end

-- A law of t = place(number). `random` draws the numbers, and `spread` lists them for the floor.
local function placed(random, spread, place)
  local function all(list)
    local t = {}
    for i, v in ipairs(list) do t[i] = place(v) end
    return t
  end
  return {
    by_samples = true,
    draw = function(B) return core.tensor(all(random({ B }):totable())) end,
    points = function()
      local list, p = spread()
      return all(list), p
    end,
  }
end

local function within(t, T) return math.max(1, math.min(T, t)) end

-- The ends of a law of sigma: level 1, and the last level whose sigma is finite.
local function sigma_ends(schedule)
  local last = schedule.T
  if schedule:snr(last) == 0 then last = last - 1 end
  return schedule:sigma(1), schedule:sigma(last)
end

local function log_normal(process, o)
  local schedule = process.schedule
  local low, high = sigma_ends(schedule)
  return placed(core.randn, normal, function(z)
    local sigma = math.exp(o.mean + o.std * z)
    return schedule:level_of_sigma(math.max(low, math.min(high, sigma)))
  end)
end

local function logit_normal(process, o)
  local T = process.T
  return placed(core.randn, normal, function(z) return within(T / (1 + math.exp(-o.mean - o.std * z)), T) end)
end

local function mode(process, o)
  local T = process.T
  return placed(core.rand, even, function(u)
    return within(T * (1 - u - o.scale * (math.cos(math.pi * u / 2) ^ 2 - 1 + u)), T)
  end)
end

-- ==== whole t =================================================================================

local function uniform(process)
  local T = process.T
  local function draw(B) return core.randint(1, T, { B }) end
  return { whole = true, by_samples = true, points = every(T), draw = draw }
end

-- One t from each of B equal parts of 1..T, in order. This adds no order to shuffled batches.
local function stratified(process)
  local T = process.T
  local function draw(B)
    local u = core.rand(B):totable()
    for k, v in ipairs(u) do u[k] = math.min(T, 1 + math.floor(T * (k - 1 + v) / B)) end
    return core.tensor(u, { dtype = "i64" })
  end
  return { whole = true, points = every(T), draw = draw }
end

local function by_importance(process, o)
  local law = importance.new(process.T, o)
  law.whole, law.points = true, every(process.T)
  return law
end

local function own(f)
  local function draw(B)
    local t = f(B)
    if not core.is_tensor(t) or kind.shape_text(t) ~= ("[%d]"):format(B) then
      fail.raise("objective: the function of times gave %s; t [%d] expected", kind.shown(t), B)
    end
    return t
  end
  return { text = "a function", draw = draw }
end

local laws = {
  uniform = { make = uniform, source = "every t equally likely" },
  stratified = { make = stratified, source = "one t of each of as many strata as the batch has samples" },
  log_normal = { make = log_normal, source = "ln sigma is normal: Karras et al. 2022, table 1", rules = {
    mean = { "number", default = -1.2, text = "mean of ln sigma" },
    std = { "number", default = 1.2, above = 0, text = "standard deviation of ln sigma" } } },
  logit_normal = { make = logit_normal,
    source = "t/T is the sigmoid of a normal number: Esser et al. 2024, section 3.1",
    rules = { mean = { "number", default = 0, text = "mean of the normal number" },
              std = { "number", default = 1, above = 0, text = "standard deviation of the normal number" } } },
  mode = { make = mode, source = "Esser et al. 2024, eq. 20", rules = {
    scale = { "number", default = 1.29, min = -1, max = 1.75,
      text = "s of the formula; above 0 favours the middle" } } },
  importance = { make = by_importance, source = "in proportion to the root mean square of the losses at t: Nichol & "
    .. "Dhariwal 2021, eq. 18", rules = {
    keep = { "integer", default = 10, min = 1, text = "losses that are remembered for each t" },
    uniform = { "number", default = 0.001, above = 0, max = 1, text = "share of t that is drawn uniformly" } } },
}
opts.declare_choices("times", laws)

--- A law of t for a process.
---@param which string|table|function
---@param process diffusion.process
---@return table law as above, with its text
function times.resolve(which, process)
  if type(which) == "function" then return own(which) end
  local name, law, o = choice("times", which, laws)
  local made = law.make(process, o)
  made.text = name
  return made
end

return times
