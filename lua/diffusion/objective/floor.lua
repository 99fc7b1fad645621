-- The least possible loss. For Gaussian data it is exact: Var(x0 | xt) = d^2 s^2 / (a^2 d^2 + s^2) at
-- level (a, s), along an axis with standard deviation d. For other data this is the loss of the best
-- affine denoiser. For an oracle it is the mean error of its E[x0 | xt] over samples.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"

local floor = {}

-- Variances along the axes of a set of samples, or of a tensor {n,...}.
local function fitted(data)
  data = opts.examples("floor", data)
  local n = data:dim() > 0 and data:size(1) or 0
  if n < 2 then fail.raise("floor: data of two samples or more expected, got %s", kind.shape_text(data)) end
  local rows = picture.examples("floor", data):reshape(n, data:numel() // n)
  local centred = rows - rows:mean(1, true)
  local values = core.linalg.eigh(centred:t():matmul(centred) / n):totable()
  for i, v in ipairs(values) do values[i] = math.max(0, v) end
  return values
end

local function squares(std)
  if type(std) == "number" then std = { std } end
  if core.is_tensor(std) then std = std:reshape(std:numel()):totable() end
  local out = {}
  for i, d in ipairs(std) do
    if type(d) ~= "number" or not (d >= 0 and d < math.huge) then
      fail.raise("floor: std must be a number of 0 or more, or a list of these, got %s at %d", kind.shown(d), i)
    end
    out[i] = d * d
  end
  if #out == 0 then fail.raise "floor: std is empty" end
  return out
end

-- The mean of Var(x0 | xt) over the axes.
local function left(variances, a, s)
  local sum = 0
  for _, v in ipairs(variances) do sum = sum + v * s ^ 2 / (a ^ 2 * v + s ^ 2) end
  return sum / #variances
end

local function count(...)
  local n = 0
  for i = 1, select("#", ...) do if select(i, ...) ~= nil then n = n + 1 end end
  return n
end

local rules = opts.declare("objective_floor", {
  std = { "number|table|tensor", as = "number|number[]|diffusion.tensor",
    text = "standard deviations of Gaussian data along its axes: exact" },
  data = { "tensor|set", text = "samples {n, ...}: the loss of the best affine network, by their covariance" },
  oracle = { "oracle", text = "a known distribution: the loss of its best denoiser" },
  samples = { "integer", default = 20000, min = 2, text = "number of samples of the oracle" }, seed = measure.seed,
})

--- The options that describe the data.
---@param given diffusion.objective_floor_options
---@return table checked
function floor.options(given)
  local o = opts.check("floor", given, rules)
  if count(o.std, o.data, o.oracle) ~= 1 then fail.raise "floor: give one of 'std', 'data' and 'oracle'" end
  return o
end

--- The mean of the least weighted error over a law of t.
---@param schedule diffusion.schedule
---@param weigh function (t {n}) -> weights on x0
---@param law table as in times.lua
---@param o table options with std or data
---@return number
function floor.exact(schedule, weigh, law, o)
  local variances, sum = o.std and squares(o.std) or fitted(o.data), 0
  local t, p = law.points()
  for i, w in ipairs(weigh(core.tensor(t)):totable()) do
    sum = sum + p[i] * w * left(variances, schedule:signal(t[i]), schedule:noise(t[i]))
  end
  return sum
end

local function sampled(process, weigh, law, o)
  local schedule, x0 = process.schedule, o.oracle:sample(o.samples)
  local t, share = law.draw(o.samples)
  local xt = process:q_sample(x0, t)
  local best = o.oracle:posterior_mean(xt, schedule:signal(t), schedule:noise(t))
  local loss = weigh(t) * core.ops.mse(best, x0, "sample")
  if share then loss = loss * share end
  return loss:mean():item(), loss:std():item() / math.sqrt(o.samples)
end

--- The mean over an oracle's samples and a law's t. The random counters are restored.
---@param process diffusion.process
---@param weigh function (t {n}) -> weights on x0
---@param law table as in times.lua
---@param o table options with oracle, samples, seed
---@return number mean
---@return number error its standard error
function floor.sampled(process, weigh, law, o)
  local now <close> = gradient.counters() -- luacheck: ignore 211
  core.manual_seed(o.seed)
  return gradient.no_grad(gradient.scope, sampled, process, weigh, law, o)
end

return floor
