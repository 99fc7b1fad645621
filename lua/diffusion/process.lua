-- d.process: the noising process q, its posterior, and the prediction target. Functions of numbers
-- return doubles. Functions of tensors return tensors, with one coefficient per sample computed in
-- double. The later of two times comes first: (t, s), 0 <= s < t <= T.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local object = require "diffusion.object"
local optimal = require "diffusion.optimal"
local renamed = require "diffusion.renamed"
local trained = require "diffusion.nn.trained"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"

--- A schedule, and the parametrisation of the reverse step. It never changes.
---@class diffusion.process
---@field schedule diffusion.schedule
---@field T integer
---@field predict string the target that the network predicts: "eps", "x0", "v", "score", "flow", "edm"
---@field sigma_data number standard deviation of the data, for "edm"
---@field variance string|fun(t: number, s: number): number variance of the reverse step
---@field outputs integer width of the network's output in multiples of C: 2 if the variance is learned
---@field clip number|string|table|nil
---@field x0_error table|nil for variance "optimal": rows {t, E|x0 - x0'|^2/D}
local Process = core.process_methods -- q_sample ... convert: csrc/binding/lprocess.c

-- ==== the reverse step =======================================================================

-- Dynamic thresholding (Saharia et al. 2022): each sample is clamped at a quantile of |x0|, which is
-- at least 1, and divided by it. A threshold of at most `most` can be given too.
local function dynamic(x0, ratio, most)
  if type(x0) == "number" then return math.max(-1, math.min(1, x0)) end
  local B = x0:size(1)
  if B == 0 then return x0 end
  local q = x0:abs():reshape(B, x0:numel() // B):quantile(ratio, 2):maximum(1)
  q = (most and q:minimum(most) or q):over(x0)
  return x0:minimum(q):maximum(-q) / q
end

--- x0 clipped as the process says: to [-clip, clip], by the dynamic threshold, or not at all.
---@param x0 number|diffusion.tensor
---@return number|diffusion.tensor
function Process:clipped(x0)
  local r = self.clip
  opts.floats("clipped", "x0", x0)
  if not r then return x0 end
  if r == "dynamic" then return dynamic(x0, 0.995) end
  if type(r) == "table" then return dynamic(x0, r.ratio, r.most) end
  if type(x0) == "number" then return math.max(-r, math.min(r, x0)) end
  return x0:clamp(-r, r)
end

--- Splits a network's output. If the variance is learned, the first half of the last dimension is
--- the prediction and the second half is v. Otherwise the output is the prediction.
---@param output number|diffusion.tensor [B,...,C], or [B,...,2C] if the variance is learned
---@return number|diffusion.tensor prediction of the kind process.predict
---@return diffusion.tensor|nil v as the prediction
function Process:split(output)
  if self.outputs == 1 then return output end
  local width = core.is_tensor(output) and output:dim() > 0 and output:size(-1)
  if not width or width % 2 ~= 0 then
    fail.raise("split: the variance is learned, so an output of even width expected, the prediction and v "
      .. "side by side in its last dimension, got %s", kind.shown(output))
  end
  return output:narrow(-1, 1, width // 2), output:narrow(-1, width // 2 + 1, width // 2)
end

--- The x0 predicted by a network, clipped as the process says, and the eps of this x0 and x_t. The
--- two are consistent even if x0 was clipped. v is that of a learned variance.
---@param output number|diffusion.tensor the kind process.predict, next to v if the variance is learned
---@param xt number|diffusion.tensor
---@param t number|number[]|diffusion.tensor
---@return number|diffusion.tensor x0
---@return number|diffusion.tensor eps
---@return diffusion.tensor|nil v for process:step_variance
function Process:estimate(output, xt, t)
  local value, v = self:split(output)
  local x0 = fail.call(self.convert, self, value, { from = self.predict, to = "x0", xt = xt, t = t })
  if not self.clip then
    return x0, fail.call(self.convert, self, value, { from = self.predict, to = "eps", xt = xt, t = t }), v
  end
  x0 = self:clipped(x0)
  return x0, fail.call(self.convert, self, x0, { from = "x0", to = "eps", xt = xt, t = t }), v
end

local variances = {
  -- the posterior's: exact if the data is one point
  fixed_small = function(p, t, s) return fail.call(p.schedule.posterior_variance, p.schedule, t, s) end,
  -- q's: exact if the data is standard normal
  fixed_large = function(p, t, s) return select(2, fail.call(p.q_moments, p, 0, t, s)) end,
  -- the posterior's plus the mean squared error of the predicted x0
  optimal = optimal.variance,
}

-- The value of a user's variance function. Raises unless it is finite and not negative.
local function variance_of(f, t, s)
  local v = f(t, s)
  if type(v) ~= "number" or not (v >= 0 and v < math.huge) then
    fail.raise("process: the variance function gave %s at t = %g, s = %g; a finite number of 0 or more expected",
      kind.shown(v), t, s)
  end
  return v
end

-- t - 1 for a number, a list or a tensor.
local function before(t)
  if type(t) ~= "table" then return t - 1 end
  local s = {}
  for i, v in ipairs(t) do s[i] = v - 1 end
  return s
end

-- A tensor of levels as one number per sample.
local function flat(t) return core.is_tensor(t) and t:flatten():to(core.real) or t end

-- A number per sample, broadcast over v.
local function beside(value, v) return core.is_tensor(value) and value:over(v) or value end

-- v of a network that learned the variance itself. Values below 0 show that it learned the logarithm.
local function positive(v, zero)
  local found = v:detach():min():item()
  if not (found > 0 or zero and found == 0) then
    fail.raise("the variance is 'learned_direct', so v is a variance, but its least value is %g; a network that "
      .. "learned ln variance needs a process with variance = 'learned'", found)
  end
  return v
end

--- Logarithm of the variance that a network has learned for p_theta(x_s | x_t). With variance =
--- "learned" it is v, with "learned_direct" ln v. With "learned_range" it lies between the
--- posterior's and q's variance of this t and s: (1 - f) ln small + f ln large with f = (v + 1)/2
--- (Nichol & Dhariwal 2021, eq. 15). At t = 1 the posterior's is that of t = 2, as in
--- posterior_log_variance.
---@param v diffusion.tensor {B, ...} of process:split
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor t - 1 if not given
---@return diffusion.tensor as v
function Process:learned_log_variance(v, t, s)
  if self.outputs == 1 then
    fail.raise("learned_log_variance: the variance is %s; 'learned', 'learned_range' or 'learned_direct' expected",
      kind.shown(self.variance))
  end
  if not core.is_tensor(v) then
    fail.raise("bad argument #1 to 'learned_log_variance' (v of process:split expected, got %s)", kind.shown(v))
  end
  opts.floats("learned_log_variance", "v", v)
  if self.variance == "learned" then return v end
  if self.variance == "learned_direct" then return positive(v, false):log() end
  t, s = flat(t), flat(s)
  local small = fail.call(self.posterior_log_variance, self, t, s)
  local _, large = fail.call(self.q_moments, self, 0, t, s or before(t))
  large = core.is_tensor(large) and large:log() or math.log(large)
  local middle, reach = (large + small) / 2, (large - small) / 2
  return v * beside(reach, v) + beside(middle, v)
end

--- The variance that a network has learned for p_theta(x_s | x_t); see learned_log_variance.
---@param v diffusion.tensor {B, ...} of process:split
---@param t number|number[]|diffusion.tensor
---@param s? number|number[]|diffusion.tensor t - 1 if not given
---@return diffusion.tensor as v
function Process:learned_variance(v, t, s)
  if self.variance == "learned_direct" and core.is_tensor(v) then return positive(v, true) end
  return self:learned_log_variance(v, t, s):exp()
end

--- Variance of the noise that the step p_theta(x_s | x_t) adds. It is 0 at s = 0 for every kind.
---@param t number
---@param s number
---@param v? diffusion.tensor v from process:split, if the variance is learned
---@return number|diffusion.tensor variance a tensor as v if the variance is learned
function Process:step_variance(t, s, v)
  if s == 0 then return 0 end
  if self.outputs == 2 then return self:learned_variance(v, t, s) end
  if type(self.variance) == "function" then return variance_of(self.variance, t, s) end
  return variances[self.variance](self, t, s)
end

-- ==== showing it ==============================================================================

local chain_rules = opts.declare("process_chain", { seed = rule.seed })

--- The chain x_0 -> x_1 -> ... -> x_T: `for t, xt, eps in p:chain(x0, {seed = 1}) do`.
---@param x0 number|diffusion.tensor
---@param o diffusion.process_chain_options?
---@return function iterator of t, xt, eps
function Process:chain(x0, o)
  o = opts.check("chain", o, chain_rules, 2)
  if type(x0) ~= "number" and not core.is_tensor(x0) then
    fail.raise("bad argument #1 to 'chain' (a number or a tensor expected, got %s)", kind.shown(x0))
  end
  local t, x = 0, x0
  return function()
    if t == self.T then return nil end
    t = t + 1
    local eps
    x, eps = fail.call(self.q_step, self, x, t, o.seed and { seed = o.seed } or nil)
    return t, x, eps
  end
end

local function explained(self, t, s)
  if type(t) ~= "number" or not (t >= 1 and t <= self.T) then
    fail.raise("bad argument #1 to 'explain' (t must be in 1..%d, got %s)", self.T, kind.shown(t))
  end
  s = s or t - 1
  if type(s) ~= "number" or not (s >= 0 and s < t) then
    fail.raise("bad argument #2 to 'explain' (s must be in 0..t and below t = %g (later time first), got %s)",
      t, kind.shown(s))
  end
  local levels = self.schedule
  local c0, ct, variance = fail.call(self.posterior_coefficients, self, t, s)
  local factor, fresh = self:q_moments(1, t, s)
  local a, n = levels:signal(t), levels:noise(t)
  local lines = {
    ("%s, t = %g of %d, s = %g"):format(levels.name, t, self.T, s),
    ("  x_t = a_t x_0 + s_t eps = %.6g x_0 + %.6g eps"):format(a, n),
    "    Ho et al. 2020, eq. 4: a_t = sqrt(alpha_bar_t), s_t = sqrt(1 - alpha_bar_t)",
    ("    SNR_t = a_t^2/s_t^2 = %.6g, ln SNR_t = %.6g, sigma_t = s_t/a_t = %.6g"):format(
      levels:snr(t), levels:log_snr(t), levels:sigma(t)),
    ("  q(x_t | x_s) = N(a_t/a_s x_s, s_t^2 (1 - SNR_t/SNR_s)) = N(%.6g x_s, %.6g)"):format(factor, fresh),
    "    eq. 2, where s = t - 1 and the variance is beta_t",
    ("  q(x_s | x_t, x_0) = N(c0 x_0 + ct x_t, variance)"),
    ("    c0 = a_s (1 - SNR_t/SNR_s) = %.10g"):format(c0),
    ("    ct = (a_t/a_s) (s_s/s_t)^2 = %.10g"):format(ct),
    ("    variance = s_s^2 (1 - SNR_t/SNR_s) = %.10g"):format(variance),
    "    eq. 6 and 7, for any s < t",
  }
  if a > 0 then
    lines[#lines + 1] = ("  x_0 = (x_t - s_t eps)/a_t = %.6g x_t - %.6g eps"):format(1 / a, n / a)
  end
  return table.concat(lines, "\n")
end

--- The formulas of a step, with numbers.
---@param t integer in 1..T
---@param s? integer t - 1 if not given
---@return string
function Process:explain(t, s) return legible.told(explained, self, t, s) end

local function clip_text(clip)
  if type(clip) ~= "table" then return clip or "none" end
  return ("dynamic, the quantile %g of |x0| in [1, %g]"):format(clip.ratio, clip.most)
end

local function tostring_process(p)
  return ("process: predict %s, variance %s, clip %s\n  %s"):format(p.predict,
    type(p.variance) == "string" and p.variance or "a function", clip_text(p.clip), p.schedule)
end

-- ==== making one =============================================================================

-- d.process{ schedule = "cosine" }
local function schedule_advice(value)
  local schedule = require("diffusion.schedule").schedule
  local names = schedule.names()
  local near = type(value) == "string" and (renamed.schedules[value] or opts.nearest(value, names))
  return near and ("; d.schedule.%s{} makes one"):format(near) or "; d.schedule.cosine{} makes one"
end

local rules = opts.declare("process", {
  schedule = { "schedule", required = true, advice = schedule_advice, text = "the noise schedule" },
  predict = { one_of = { "eps", "x0", "v", "score", "flow", "edm" }, default = "eps",
    text = 'the prediction target; "flow" is eps - x0' },
  sigma_data = { "number", default = 0.5, above = 0, text = "standard deviation of the data, for edm" },
  variance = { "function",
    one_of = { "fixed_small", "fixed_large", "learned", "learned_range", "learned_direct", "optimal" },
    as = '"fixed_small"|"fixed_large"|"learned"|"learned_range"|"learned_direct"|"optimal"'
      .. "|fun(t: number, s: number): number",
    default = "fixed_small", text = "variance of the reverse step: the posterior's, q's, learned, or optimal" },
  clip = { "number|table", one_of = { "dynamic" }, above = 0, as = 'number|"dynamic"|{ratio: number, most: number}',
    what = 'a number above 0, "dynamic" or {ratio = 0.995, most = 1}',
    text = 'range [-clip, clip] of the predicted x0, "dynamic", or the quantile and the cap of a dynamic threshold' },
  x0_error = { "table", as = "number[][]",
    text = 'rows {t, mean squared error of x0} for "optimal", as d.estimate_variance measures them' },
})

-- The fields of a dynamic threshold.
local threshold = {
  ratio = { "number", default = 0.995, min = 0, max = 1 }, most = { "number", default = 1, above = 0 },
}

local class -- made when its methods are complete

--- A process: a schedule, and how the reverse step is parametrised. A learned variance doubles the
--- network's output: "learned" is ln variance, "learned_range" lies between the posterior's and q's
--- (Nichol & Dhariwal 2021, eq. 15). "learned_direct" is the variance itself, as diffusers' "learned" is.
---@param o diffusion.process_options
---@return diffusion.process
---@usage local p = d.process{ schedule = d.schedule.cosine{}, predict = "v", clip = 1 }
--- local xt, eps = p:q_sample(d.randn(8, 2), 500)
--- print(p:explain(500))
local function new(o)
  local p = opts.check("process", o, rules)
  if type(p.clip) == "table" then p.clip = opts.check("process: clip", p.clip, threshold, 0) end
  optimal.check(p)
  p.T = p.schedule.T
  p.outputs = type(p.variance) == "string" and p.variance:find "^learned" and 2 or 1
  return object.new(class, nil, p)
end

--- The same process with the best variance for a given network (Bao et al. 2022, theorem 1). That is
--- the posterior's plus c0^2 times the mean squared error of the predicted x0. It takes one pass
--- over the samples, each noised to one of the levels in turn. Between levels ln of the error is
--- linear in ln SNR. The error is that of the clipped x0, which samplers use. It is saved in model
--- files. The variance lies between the posterior's and (a_s/a_t)^2 times q's.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param x0 diffusion.tensor|diffusion.set samples {n, ...}, one a level or, with rounds, fewer; u8 become floats
---@param options diffusion.estimate_variance_options?
---@return diffusion.process
---@usage local oracle = d.oracle.moons{}
--- local p = d.process{ schedule = d.schedule.cosine{ T = 100 } }
--- local q = d.estimate_variance(oracle:denoiser(p), p, oracle:sample(2000, { seed = 1 }))
--- print(p:step_variance(50, 40), q:step_variance(50, 40))
local function estimate_variance(model, process, x0, options)
  opts.denoiser("estimate_variance", model)
  opts.process("estimate_variance", 2, process, "model, process, x0, options")
  trained.check("estimate_variance", model, process)
  local o = {}
  for name in pairs(rules) do o[name] = process[name] end
  o.variance, o.x0_error = "optimal", optimal.estimate(model, process, x0, options)
  return new(o)
end

--- Plain values for files, from which process_from_config makes the same process. Raises if the
--- variance is a function.
---@return table
function Process:config()
  if type(self.variance) == "function" then
    fail.raise("process: a variance that is a function can't be saved")
  end
  return {
    schedule = self.schedule:config(), predict = self.predict, variance = self.variance, clip = self.clip,
    sigma_data = self.sigma_data, x0_error = self.x0_error,
  }
end

--- The process that a config describes.
---@param config table
---@return diffusion.process|nil process nil with a message if it describes none
---@return string|nil message
local function from_config(config)
  if type(config) ~= "table" then return nil, "the process's description is no table" end
  local s, message = require("diffusion.schedule").schedule.from_config(config.schedule)
  if not s then return nil, message end
  return fail.try(new, {
    schedule = s, predict = config.predict, variance = config.variance, clip = config.clip,
    sigma_data = config.sigma_data, x0_error = config.x0_error,
  })
end

class = object.class("process", Process, {
  fields = { "schedule", "T", "predict", "sigma_data", "variance", "outputs", "clip", "x0_error" },
  peers = { estimate_variance = "d.estimate_variance(model, process, x0)" },
  __tostring = tostring_process,
})

return { process = new, estimate_variance = estimate_variance, process_from_config = from_config }
