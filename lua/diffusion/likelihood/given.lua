-- What both likelihoods take, and what both do with it.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local trained = require "diffusion.nn.trained"
local stream = require("diffusion.sampler.streams").likelihood

local given = {}

-- The samples and the numbers of each, which must be finite reals.
local function check_data(where, x0)
  if not core.is_tensor(x0) then
    fail.raise("%s: x0 must be a tensor, got %s%s", where, kind.shown(x0), opts.advice(x0, "tensor"))
  end
  local remedy = kind.float_advice(x0)
  if remedy ~= "" then fail.raise("%s: x0 is %s%s", where, x0:dtype(), remedy) end
  if x0:dtype() ~= core.real then fail.raise("%s: x0 must be %s, got %s", where, core.real, x0:dtype()) end
  if x0:dim() < 2 or x0:numel() == 0 then
    fail.raise("%s: x0 must be {B, ...} with a sample or more, got %s", where, kind.shape_text(x0))
  end
  if not x0:isfinite():all() then fail.raise("%s: x0 holds nan or infinity", where) end
  gradient.constant(where, "x0", x0)
  return x0:size(1), x0:numel() // x0:size(1)
end

--- Raises unless x0 lies in [-1, 1].
---@param where string
---@param x0 diffusion.tensor
---@param instead string what else could be done
function given.within(where, x0, instead)
  local least, most = x0:min():item(), x0:max():item()
  if least >= -1.000001 and most <= 1.000001 then return end
  fail.raise("%s: x0 goes from %g to %g; levels lie in [-1, 1], and %s", where, least, most, instead)
end

-- Classes are one number, or one for each sample.
local function check_class(where, class, B)
  if class == nil then return end
  fail.call(core.whole, where .. ": class", class)
  if type(class) == "number" then return end
  local fine = type(class) == "table" and #class == B
    or core.is_tensor(class) and class:dim() == 1 and class:size(1) == B
  if fine then return end
  fail.raise("%s: class must be a number or one for each of %d samples, got %s", where, B,
    type(class) == "table" and ("%d of them"):format(#class) or kind.shown(class))
end

-- A process that predicts eps has signal at its last level.
local function check_signal(where, process)
  local predict, T = process.predict, process.T
  if (predict == "eps" or predict == "score") and process.schedule:snr(T) == 0 then
    fail.raise("%s: x_t holds no signal at t = %d, so %s says nothing of x0 there; predict v or x0", where, T, predict)
  end
end

--- The options of a likelihood, with what it is of: model, process, x0 of B samples of D numbers.
--- Or a sentence.
---@param where string
---@param rules table of opts.check
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
  o.B, o.D = check_data(where, x0)
  check_class(where, o.class, o.B)
  o.model, o.process, o.x0 = model, process, x0
  return o
end

--- Standard normal numbers of a seed, of its k-th draw: sample b has the same in any batch.
---@param seed integer
---@param k integer
---@param shape integer[]
---@return diffusion.tensor
function given.normal(seed, k, shape) return core.mix_noise(1, seed, stream, k, 0, core.zeros(shape)) end

--- Uniform numbers in [0, 1] likewise.
function given.uniform(seed, k, shape) return (given.normal(seed, k, shape) * -math.sqrt(0.5)):erfc() * 0.5 end

--- -1 or 1 likewise, each as likely.
function given.sign(seed, k, shape) return core.ops.where(given.normal(seed, k, shape):ge(0), 1.0, -1.0) end

--- A sample's numbers as a row.
---@param x diffusion.tensor {B, ...}
---@return diffusion.tensor {B,D}
function given.rows(x) return x:reshape(x:size(1), x:numel() // x:size(1)) end

--- The sum over a sample's numbers, as a list of B.
---@param x diffusion.tensor {B, ...}
---@return number[]
function given.sums(x) return given.rows(x):sum(2):totable() end

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
