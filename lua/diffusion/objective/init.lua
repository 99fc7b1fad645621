-- The loss that trains a denoiser: t and eps are drawn, x0 is noised, the model predicts, and its
-- error is weighted. Other files have the weightings, the laws of t (times), the errors, the
-- variational term of a learned variance (hybrid), and the least possible loss (floor).
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local classes = require "diffusion.classes"
local decoders = require "diffusion.likelihood.decoder"
local batches = require "diffusion.objective.batch"
local errors = require "diffusion.objective.error"
local floors = require "diffusion.objective.floor"
local gradient = require "diffusion.gradient"
local hybrid = require "diffusion.objective.hybrid"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local legible = require "diffusion.legible"
local samples = require "diffusion.samples"
local precondition = require "diffusion.precondition"
local models = require "diffusion.nn.model"
local trained = require "diffusion.nn.trained"
local times = require "diffusion.objective.times"
local weightings = require "diffusion.objective.weighting"

--- A loss for d.record, of d.objective: called as (model, x0, {class=, eps=}).
---@class diffusion.objective
---@field process diffusion.process
---@field error string "mse", "l1", "huber" or "pseudo_huber"
---@field vlb number weight of the variational bound, if the variance is learned
local Objective = {}

local private = object.private -- {weighting, times, measure = the error's function}

local function tostring_objective(self)
  local own, also = private[self], self.process.outputs == 2 and (" + %g vlb"):format(self.vlb) or ""
  return ("objective: %s of %s, weighting %s%s, times %s"):format(self.error, self.process.predict,
    own.weighting.text, also, own.times.text)
end

-- ==== the loss ================================================================================

-- Each class becomes 0 (none) with probability p.
local function dropped(class, B, p)
  if class == nil or p == 0 then return class end
  return classes.of("objective", class, B) * core.rand(B):ge(p):to "i64"
end

-- Noise with an offset that each channel of a sample shares. Its variance is 1 + c^2.
local function offset(x0, c)
  local shape = x0:shape()
  for i = 2, #shape - 1 do shape[i] = 1 end
  return core.randn(x0:shape()) + core.randn(shape) * c
end

-- With probability p, the x0 that the model predicts without self-conditioning; nil otherwise
-- (Chen et al. 2023, algorithm 1).
local function first_guess(self, model, xt, t, given)
  local p = self.self_condition
  if p == 0 or core.rand(1):item() >= p then return nil end
  local process = self.process
  return gradient.no_grad(function()
    local out = answer.of_denoiser("objective", model(xt, t, given), xt, process.outputs)
    return (process:estimate(out, xt, t))
  end)
end

-- The weighted error of the prediction. If the variance is learned, its variational term is added.
local function weighted_error(self, model, x0, xt, eps, t, model_opts)
  local own, process = private[self], self.process
  local target = process:target(x0, eps, t)
  local out = answer.of_denoiser("objective", model(xt, t, model_opts), xt, process.outputs)
  local value, v = process:split(out)
  local snr = process.schedule:snr(t)
  local weight = own.weighting.of(t, snr) * weightings.factor(process, process.predict, t, snr)
  local loss = weight * own.measure(value, target)
  if not v then return loss end
  local term = hybrid.term(process, self.decoder, x0, xt, t, value, v)
  return loss + term * (self.vlb * process.T), term
end

-- The noise added to x0: given, or with an offset, or nil if the process is to draw it.
local function noise_of(self, x0, eps)
  local c = self.offset_noise
  if c == 0 then return eps end
  if not eps then return offset(x0, c) end
  fail.raise("objective: eps is given, so option 'offset_noise' = %g would have no effect", c)
end

-- If the loss isn't finite, the data is checked before the network.
local function check_finite(loss, x0)
  local value = loss:detach():mean():item()
  local fault = value - value ~= 0 and batches.fault(x0)
  if fault then fail.raise("objective: %s; the data makes the loss %g, whatever the network", fault, value) end
end

local call_rules = opts.declare("objective_call", { class = classes.rule, inputs = conditions.rule,
  eps = { "tensor", default_text = "drawn", text = "the noise, as x0: that of d.reflow's pairs" } })

--- The loss of a batch.
---@param model any a denoiser (xt, t, {class=, x0=}); x0 is given with self_condition only
---@param x0 diffusion.tensor {B, ...}
---@param given diffusion.objective_call_options?
---@return diffusion.tensor loss a number
---@return table details {t, eps, xt, per_sample}: t {B}, eps and xt as x0, per_sample {B}, whose mean is
---  the loss; vlb {B}, nats a dimension, if the variance is learned
local function call(self, model, x0, given)
  local B = samples.batch("objective", "x0", x0, 1):size(1)
  opts.denoiser("objective", model)
  local o = opts.check("objective", given, call_rules, 3)
  batches.look(self, model, x0, o.class)
  if core.recording() then trained.learn(model, self.process, self.precondition) end
  if self.precondition then model = precondition.scaled(model, self.process, self.precondition) end
  local law = private[self].times
  local guard <close> = gradient.guard()
  local t, share = law.draw(B)
  local xt, eps = fail.call(self.process.q_sample, self.process, x0, t, noise_of(self, x0, o.eps))
  local conditioned = conditions.of("objective", nil, o.inputs, B)
  conditioned.class = dropped(o.class, B, self.drop_class)
  conditioned.x0 = first_guess(self, model, xt, t, conditioned)
  local per_sample, term = weighted_error(self, model, x0, xt, eps, t, conditioned)
  if law.learn and core.recording() then deal.learn(law.learn, t:totable(), per_sample:detach():totable()) end
  if share then per_sample = per_sample * share end
  local loss = guard:keep(deal.mean(per_sample), t, eps, xt, per_sample, term)
  check_finite(loss, x0)
  return loss, { t = t, eps = eps, xt = xt, per_sample = per_sample, vlb = term }
end

-- ==== several pieces at once ==============================================================

local function are_all(is_of_batch, list)
  for _, x in pairs(list) do
    if not (core.is_tensor(x) and is_of_batch(x)) then return false end
  end
  return true
end

-- Whether the loss of each sample depends on that sample alone, and all arguments are of the batch.
local function is_by_samples(self, is_of_batch, model, x0, given)
  local o = type(given) == "table" and given or {}
  local inputs = type(o.inputs) == "table" and o.inputs or {}
  return models.is_by_samples(model) and private[self].times.by_samples == true
    and type(self.weighting) ~= "function" and self.self_condition == 0
    and are_all(is_of_batch, { x0, o.class, o.eps }) and are_all(is_of_batch, inputs)
end

-- ==== looking at it ===========================================================================

local function at(self, t, where)
  if type(t) ~= "number" or not (t >= 1 and t <= self.process.T) then
    fail.raise("bad argument #1 to '%s' (t must be in 1..%d, got %s)", where, self.process.T, kind.shown(t))
  end
  return core.tensor { t }
end

--- The loss weight at t for each prediction target. All describe the same loss.
---@param t number in 1..T
---@return table<string, number> weights x0, eps, v, score, flow, edm; infinite or nan if x_t has
---  no signal and eps determines nothing
function Objective:weights(t)
  local level, out = at(self, t, "weights"), {}
  local w = private[self].weighting.of(level)
  for _, target in ipairs(weightings.targets) do
    out[target] = (w * weightings.factor(self.process, target, level)):item()
  end
  return out
end

local function explained(self, t)
  at(self, t, "explain")
  local process, weights = self.process, self:weights(t)
  local lines = {
    tostring(self),
    ("  t = %g of %d, SNR = %.6g"):format(t, process.T, process.schedule:snr(t)),
    ("  w = %s"):format(private[self].weighting.from),
  }
  for _, target in ipairs(weightings.targets) do
    lines[#lines + 1] = ("  %s%-5s  %-12.6g  %s"):format(target == process.predict and "*" or " ", target,
      weights[target], weightings.formulas[target])
  end
  lines[#lines + 1] = "  weights on |target - prediction|^2; * is the target of this process"
  return table.concat(lines, "\n")
end

--- The weights at t as text, with their equations.
---@param t number in 1..T
---@return string
---@usage local o = d.objective{ process = d.process{ schedule = d.schedule.cosine{} }, weighting = "min_snr" }
--- print(o:explain(500))
function Objective:explain(t) return legible.told(explained, self, t) end

--- The least possible expected loss. For Gaussian data it is exact: no network is better, and
--- the best affine one for each t reaches it. For other data it is the loss of the best affine
--- network, from their covariance; a network that learns more gets below it. For an oracle it is
--- a mean over samples. It covers the weighted error only, not a learned variance's bound. It is
--- known for error = "mse" and noise without offset. Give one of std, data and oracle.
---@param given diffusion.objective_floor_options
---@return number
---@return number|nil error its standard error, for an oracle
---@usage local o = d.objective{ process = d.process{ schedule = d.schedule.linear{}, predict = "v" } }
--- print(o:floor{ std = 0.5 }, o:floor{ data = d.data.digits() })
--- print(o:floor{ oracle = d.oracle.moons{} }, o:floor{ data = d.oracle.moons{}:sample(10000) })
function Objective:floor(given)
  local o = floors.options(given)
  if self.error ~= "mse" then fail.raise("floor: error is '%s'; the floor is known only for 'mse'", self.error) end
  if self.offset_noise > 0 then
    fail.raise("floor: offset_noise is %g; the floor is known only without it", self.offset_noise)
  end
  local own = private[self]
  if o.oracle then return floors.sampled(self.process, own.weighting.of, own.times, o) end
  if not own.times.points then fail.raise "floor: the floor is unknown if times is a function" end
  return floors.exact(self.process.schedule, own.weighting.of, own.times, o)
end

-- ==== its state ===============================================================================

--- Plain values for a checkpoint: the losses from which times = "importance" learns.
---@return table|nil state {losses = a list for each t}; nil for other times
function Objective:state()
  local law = private[self].times
  return law.state and { losses = law.state() }
end

--- Continues from a state.
---@param state table|nil from `state()`
---@return true|nil done nil with a message, and nothing changed, if it is from another objective
---@return string|nil message
function Objective:load_state(state)
  local law = private[self].times
  if not law.load_state then return true end
  if type(state) == "table" and law.load_state(state.losses) then return true end
  return legible.refused("objective: the state has no losses of %d levels", self.process.T)
end

-- ==== making one ==============================================================================

local LEARNED <const> = 0.001 -- the weight of the bound where the variance is learned

local rules = opts.declare("objective", {
  process = rule.process,
  weighting = { "string|table|function", default = "simple", choice = "weighting", as = "string|table|function",
    text = "weight on the squared error of x0: a name, {name, option = ...}, or a function of SNR" },
  times = { "string|table|function", default = "uniform", choice = "times", as = "string|table|function",
    text = "distribution of t: a name, {name, option = ...}, or a function (B) -> t {B}" },
  error = { "string|table", default = "mse", choice = "error",
    text = "measure of the error: a name or {name, option = ...}" },
  vlb = { "number", min = 0, default_text = legible.format("%g for a learned variance, else 0", LEARNED),
    text = "weight of the variational bound (Nichol & Dhariwal 2021, eq. 16), in nats a dimension" },
  decoder = decoders.rule,
  precondition = { one_of = { "edm", "vp", "ve", "iddpm" },
    text = "the model is a raw network, scaled by d.precondition" },
  drop_class = { "number", default = 0, min = 0, max = 1, text = "share of classes that are hidden, for guidance" },
  self_condition = { "number", default = 0, min = 0, max = 1,
    text = "share of batches in which the model is conditioned on its own x0" },
  offset_noise = { "number", default = 0, min = 0, text = "standard deviation of noise that a whole channel shares" },
})

-- Fields that can be written later, such as between stages of a training.
local writable = { vlb = opts.joined(rules.vlb, { default = 0 }) }
for _, name in ipairs { "drop_class", "self_condition", "offset_noise" } do writable[name] = rules[name] end

local class = object.class("objective", Objective, {
  writable = writable, __call = call, __tostring = tostring_objective,
  fields = { "process", "weighting", "times", "error", "vlb", "decoder", "precondition", "drop_class",
             "self_condition", "offset_noise" },
})

-- The bound is a sum over whole t.
local function check_bound(o, own)
  local learned = o.process.outputs == 2
  if o.vlb and not learned then
    fail.raise("objective: option 'vlb' is for a learned variance, this process has variance %s",
      kind.shown(o.process.variance))
  end
  if (learned or own.weighting.whole) and own.times.points and not own.times.whole then
    fail.raise("objective: %s needs whole t, which times = '%s' doesn't draw; take uniform, stratified or importance",
      learned and "a learned variance" or "weighting " .. own.weighting.text, own.times.text)
  end
  o.vlb = o.vlb or learned and LEARNED or 0
end

-- The input of a raw network, ln(s/a), must be finite at every level that is drawn.
local function check_noise(o, law)
  local schedule = o.process.schedule
  if o.precondition and law.whole and schedule:snr(schedule.T) == 0 then
    fail.raise("objective: times = '%s' draws t = %d, where x_t holds no signal, and precondition = '%s' is of "
      .. "ln(s/a); take log_normal, or a schedule that keeps some", law.text, schedule.T, o.precondition)
  end
end

--- A loss for `d.record`. t and eps are drawn, and the error of the model's prediction at x_t is
--- weighted. Weights apply to the squared error of x0 and are converted to the prediction target.
--- Conditional flow matching and rectified flow are predict = "flow" on d.schedule.flow with
--- weighting = "uniform": the plain error of eps - x0 at x_t = (1 - t/T) x0 + t/T eps.
--- The default weighting counts eps the same at every t. With "vlb", T times the loss is the sum of the
--- bound's L_t.
---@param options diffusion.objective_options
---@return diffusion.objective objective (model, x0, {class=, eps=}) -> loss (one number), {t, eps, xt,
---  per_sample}: t {B}, eps and xt as x0, per_sample {B} weighted
---@usage local process = d.process{ schedule = d.schedule.cosine{}, predict = "v" }
--- local loss_of = d.objective{ process = process, weighting = { "min_snr", gamma = 5 } }
--- local loss, seen = d.record(loss_of, d.mlp{ hidden = 16, depth = 1 }, d.randn(8, 2))
--- print(loss:item(), seen.t, loss_of:explain(500))
local function objective(options)
  local o = opts.check("objective", options, rules)
  local own = { weighting = weightings.resolve(o.weighting, o.process) }
  weightings.check(o.process, own.weighting)
  own.times = times.resolve(o.times, o.process)
  o.error, own.measure = errors.resolve(o.error)
  check_bound(o, own)
  check_noise(o, own.times)
  local made = object.new(class, own, o)
  deal.by_samples[made] = function(...) return is_by_samples(made, ...) end
  return made
end

return { objective = objective }
