-- The arguments of both likelihoods, and their common arithmetic.
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local part = require "diffusion.over.part"
local same = require "diffusion.over.same"
local trained = require "diffusion.nn.trained"
local samples = require "diffusion.samples"
local stream = require("diffusion.sampler.streams").likelihood

local given = {}

--- Raises unless x0 lies in [-1, 1].
---@param where string
---@param x0 diffusion.tensor
---@param instead string an alternative, for the message
function given.within(where, x0, instead)
  local least, most = x0:min():item(), x0:max():item()
  if least >= -1.000001 and most <= 1.000001 then return end
  fail.raise("%s: x0 goes from %g to %g; levels lie in [-1, 1], and %s", where, least, most, instead)
end

-- A process that predicts eps or score must have signal at its last level.
local function check_signal(where, process)
  local predict, T = process.predict, process.T
  if (predict == "eps" or predict == "score") and process.schedule:snr(T) == 0 then
    fail.raise("%s: x_t holds no signal at t = %d, so %s doesn't determine x0 there; predict v or x0",
      where, T, predict)
  end
end

-- The options of this rank's samples. If it has none, they are of the first, and B is 0.
local function part_of(where, o)
  same(where, o.over, opts.joined(o, { over = false, B = false, D = false, samples = false }))
  local from, count = part.of(o.over, o.B)
  local at, rows = count > 0 and from or 0, math.max(count, 1)
  for _, name in ipairs { "class", "inputs", "x0" } do o[name] = part.rows(o[name], o.B, at, rows) end
  o.B, o.first = count, from
  return o
end

--- The options of a likelihood with its arguments: model, process, x0 of B samples of D numbers.
--- It raises if one of them is wrong.
---@param where string
---@param rules table for opts.check
---@param model any
---@param process any
---@param x0 any
---@param options any
---@return table
function given.options(where, rules, model, process, x0, options)
  local o = opts.check(where, options, rules, 4)
  opts.denoiser(where, model)
  opts.process(where, 2, process, "model, process, x0, options")
  check_signal(where, process)
  trained.check(where, model, process)
  samples.constant(where, "x0", x0)
  o.B, o.D = x0:size(1), x0:numel() // x0:size(1)
  conditions.of(where, o.class, o.inputs, o.B)
  o.model, o.process, o.x0, o.samples, o.first = model, process, x0, o.B, 0
  return o.over and part_of(where, o) or o
end

--- The list that fn(o, ...) computes, a number for each sample. Over ranks each computes a part, and gets all.
---@param o table
---@param fn function
---@param ... any
---@return number[]
function given.all(o, fn, ...)
  local from <close> = part.draws_from(o.first) -- luacheck: ignore 211
  if not o.over then return fn(o, ...) end
  return part.numbers(o.over, o.B > 0 and fn(o, ...) or {})
end

--- Standard normal numbers of a seed's k-th draw. Sample b has the same ones in any batch.
---@param seed integer
---@param k integer
---@param shape integer[]
---@return diffusion.tensor
function given.normal(seed, k, shape) return core.mix_noise(1, seed, stream, k, 0, core.zeros(shape)) end

--- Uniform numbers in [0, 1], drawn in the same way.
function given.uniform(seed, k, shape) return (given.normal(seed, k, shape) * -math.sqrt(0.5)):erfc() * 0.5 end

--- -1 or 1 with equal probability, drawn in the same way.
function given.sign(seed, k, shape) return core.ops.where(given.normal(seed, k, shape):ge(0), 1.0, -1.0) end

--- The sum of each sample's numbers.
---@param x diffusion.tensor [B,...]
---@return number[]
function given.sums(x) return samples.rows(x):sum(2):totable() end

--- The mean of a list, and its standard error (nil for one number).
---@param list number[]
---@return number mean
---@return number|nil error
function given.mean(list)
  local n, mean, squares = #list, 0, 0
  for _, v in ipairs(list) do mean = mean + v / n end
  for _, v in ipairs(list) do squares = squares + (v - mean) ^ 2 end
  return mean, n > 1 and math.sqrt(squares / (n - 1) / n) or nil
end

--- "3.2146 +- 0.0071".
function given.shown(mean, deviation)
  return ("%.5g"):format(mean) .. (deviation and (" +- %.2g"):format(deviation) or "")
end

return given
