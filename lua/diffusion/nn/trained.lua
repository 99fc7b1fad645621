-- The training target of a model, its T, and the kind of time that it is called with. An objective
-- sets them and files carry them. Functions of a model and a process check the two against them.
local core = require "diffusion.core"
local fail = require "diffusion.fail"

local trained = {}

-- Model -> { predict =, T =, sigma_data =, time = "t" or a kind of d.precondition, variance = if learned }.
local facts = setmetatable({}, { __mode = "k" })

-- Model -> the process that facts are from, so that each step of a training needn't repeat it.
local last = setmetatable({}, { __mode = "kv" })

-- Denoiser -> the model that it is made of: averages, guidance.
local inside = setmetatable({}, { __mode = "k" })

local targets = { eps = true, x0 = true, v = true, score = true, flow = true, edm = true }
local variances = { learned = true, learned_range = true, learned_direct = true }

-- The kind of a process's variance, if networks learn it.
local function learned(process) return variances[process.variance] and process.variance or nil end

--- Marks a denoiser as made of a model: it predicts the same target.
---@param denoiser any
---@param model any
---@return any denoiser
function trained.wrap(denoiser, model)
  inside[denoiser] = model
  return denoiser
end

--- The facts about a denoiser, nil if there are none.
---@param denoiser any
---@return table|nil
function trained.of(denoiser)
  while denoiser ~= nil and not facts[denoiser] do denoiser = inside[denoiser] end
  return facts[denoiser]
end

-- The model itself, behind an average.
local function innermost(denoiser)
  while inside[denoiser] do denoiser = inside[denoiser] end
  return denoiser
end

--- Records the process that a denoiser is trained for.
---@param denoiser any a model, an average, or a function of the library's
---@param process diffusion.process
---@param time string|nil a kind of d.precondition if the network is a raw one; "t" if not given
function trained.learn(denoiser, process, time)
  local model = innermost(denoiser)
  if last[model] == process and facts[model].time == (time or "t") then return end
  facts[model] = { predict = process.predict, T = process.T, sigma_data = process.sigma_data, time = time or "t",
    variance = learned(process) }
  last[model] = process -- after the facts, for which memory may be short
end

--- Sets the facts that a file carries, if it carries any.
---@param model any
---@param given table|nil from trained.of
---@return string|nil fault if they are damaged
function trained.set(model, given)
  if given == nil then return nil end
  local fine = type(given) == "table" and targets[given.predict] and type(given.time) == "string"
    and type(given.sigma_data) == "number" and math.type(given.T) == "integer" and given.T >= 1
    and (given.variance == nil or variances[given.variance])
  if not fine then return "its description of the training is damaged" end
  model = innermost(model)
  last[model] = nil
  facts[model] = { predict = given.predict, T = given.T, sigma_data = given.sigma_data, time = given.time,
    variance = given.variance }
end

local function difference(known, process)
  if known.predict ~= process.predict then
    return ("to predict %s, but the process predicts %s"):format(known.predict, process.predict)
  end
  if known.T ~= process.T then return ("on T = %d, but the process has T = %d"):format(known.T, process.T) end
  if known.predict == "edm" and known.sigma_data ~= process.sigma_data then
    return ("with sigma_data = %g, but the process has %g"):format(known.sigma_data, process.sigma_data)
  end
  if known.variance and learned(process) and known.variance ~= process.variance then
    return ("with variance = '%s', but the process has '%s'"):format(known.variance, process.variance)
  end
end

--- Raises if a denoiser was trained for another target or T than the process has.
---@param where string
---@param denoiser any
---@param process diffusion.process
function trained.check(where, denoiser, process)
  local known = trained.of(denoiser)
  if not known then return end
  if known.time ~= "t" then
    fail.raise("%s: the model is a raw network, trained with precondition = '%s'; d.precondition(model, process, "
      .. "{ kind = '%s' }) makes a denoiser of it", where, known.time, known.time)
  end
  local text = difference(known, process)
  if text then
    fail.raise("%s: the model was trained %s; use the process that it was trained with, or d.load_model(path, "
      .. "{ process = ... }) if its file is wrong", where, text)
  end
end

--- The same, except that raw networks go with any process, through d.precondition.
---@param where string
---@param denoiser any
---@param process diffusion.process
function trained.check_target(where, denoiser, process)
  local known = trained.of(denoiser)
  if known and known.time == "t" then trained.check(where, denoiser, process) end
end

-- A number outside 0 < t <= T, nil if there is none.
local function outside(t, T)
  local least, most = t, t
  if type(t) ~= "number" then
    if t:numel() == 0 then return nil end
    least, most = core.picture_range(t:detach():to(t:dtype() == "i64" and "i64" or core.real):contiguous())
  end
  return least <= 0 and least or most > T and most or nil
end

--- Raises if a level is outside 0 < t <= T of a denoiser's training.
---@param denoiser any
---@param t number|diffusion.tensor a number or {B}
function trained.check_level(denoiser, t)
  local known = facts[denoiser]
  if not known or known.time ~= "t" then return end
  local wrong = outside(t, known.T)
  if wrong then
    fail.raise("model: t is %s, but it was trained on levels above 0 and up to T = %d", ("%g"):format(wrong), known.T)
  end
end

return trained
