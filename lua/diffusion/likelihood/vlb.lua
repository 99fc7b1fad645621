-- The variational bound on -ln p(x0), term by term: Ho et al. 2020, eq. 5.
local classes = require "diffusion.classes"
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local samples = require "diffusion.samples"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local decoder = require "diffusion.likelihood.decoder"
local given = require "diffusion.likelihood.given"
local divergence = require "diffusion.likelihood.step"
local rule = require "diffusion.rule"

local where = "likelihood.vlb"

local rules = opts.declare("likelihood_vlb", {
  t = { "integer|table", min = 1, as = "integer|integer[]", default_text = "all of 1..T",
    text = "n strata of 2..T, even in ln(1 + SNR), with one t each; or a list of t whose terms are wanted" },
  seed = measure.seed, decoder = decoder.rule, class = classes.rule, inputs = conditions.rule,
  bins = { "integer", default = 256, min = 2, text = "levels of an image" },
  clip = { "boolean", default = false, text = "clips the predicted x0 as the process does" },
  over = rule.over "the samples",
})

-- ==== which t ================================================================================

-- The levels of a list, each once. Levels in 2..T become strata. 1 stands for the decoder's term.
local function listed(list, T)
  local strata, first, seen = {}, false, {}
  for i, t in ipairs(list) do
    local whole = math.tointeger(t)
    if not whole or whole < 1 or whole > T then
      fail.raise("%s: t must hold whole numbers in 1..%d, but number %d is %s", where, T, i, kind.shown(t))
    end
    if seen[whole] then fail.raise("%s: t holds %d twice", where, whole) end
    seen[whole] = true
    if whole == 1 then first = true else strata[#strata + 1] = { from = whole, to = whole } end
  end
  if next(seen) == nil then fail.raise("%s: t is an empty list", where) end
  table.sort(strata, function(a, b) return a.from < b.from end)
  return strata, first
end

-- 2..T in n parts of equal fall of ln(1 + SNR), as far as whole levels allow. For standard normal
-- data L_{t-1} is half the fall from t - 1 to t, so the parts have about the same weight.
local function divided(n, schedule)
  local T, strata, t = schedule.T, {}, 1
  local function height(level) return math.log(1 + schedule:snr(level)) end
  local top, bottom = height(1), height(T)
  for i = 1, n do
    local from, least = t + 1, top + (bottom - top) * i / n
    t = from
    while t < T - (n - i) and (i == n or height(t) > least) do t = t + 1 end
    strata[i] = { from = from, to = t }
  end
  return strata
end

-- The strata, and whether the decoder's term is included.
local function strata_of(t, schedule)
  local T = schedule.T
  if type(t) == "table" then return listed(t, T) end
  return divided(math.min(t or T, T - 1), schedule), true
end

-- A t of the stratum for each sample, or a number if the stratum has one t.
local function times_in(stratum, seed, k, B)
  local n = stratum.to - stratum.from + 1
  if n == 1 then return stratum.from end
  local u, times = given.uniform(seed, k, { B }):totable(), {}
  for b = 1, B do times[b] = stratum.from + math.min(n - 1, math.floor(u[b] * n)) end -- u may be 1
  return times
end

-- ==== the terms ==============================================================================

-- ln of the variance of p(x_{t-1} | x_t). The step to t = 0 adds no noise. For t = 1 a user's own
-- function may give a variance. Otherwise it is the posterior's at t = 2.
local function log_variance(process, t)
  local own = process.variance
  local v = t > 1 and process:step_variance(t, t - 1) or type(own) == "function" and own(t, 0) or 0
  if v == 0 and t == 1 and process.T > 1 then return process:posterior_log_variance(1) end
  if not (v > 0) then
    fail.raise("%s: the variance of p(x_%d | x_%d) is 0, so the bound is infinite; take %s", where, t - 1, t,
      t > 1 and "fixed_large" or "a function that is above 0 at (1, 0)")
  end
  return math.log(v)
end

-- The predicted x0, and ln of the variance if it is learned.
local function predicted(o, xt, t)
  local process = o.process
  local out, v = process:split(answer.of_denoiser(where, o.model(xt, t, o.model_opts), xt, process.outputs))
  local x0 = process:convert(out, { from = process.predict, to = "x0", xt = xt, t = t })
  return o.clip and process:clipped(x0) or x0, v and process:learned_log_variance(v, t)
end

-- KL(q(x_{t-1} | x_t, x_0) || p) of each sample, in nats: the divergence of two Gaussians whose means
-- differ by c0 (x0 - x0').
local function step_nats(o, t, squares)
  local c0, _, variance = o.process:posterior_coefficients(t)
  local log_ratio = log_variance(o.process, t) - math.log(variance)
  local spread = 0.5 * (log_ratio + math.exp(-log_ratio) - 1)
  return o.D * spread + c0 ^ 2 * math.exp(-log_ratio) / variance * squares / 2
end

-- The k-th stratum's term of each sample, a list of B. If the variance is learned it is a sum over
-- elements. Otherwise it follows from the squared error of x0', in double.
local function stratum_nats(o, k, stratum)
  local process, x0 = o.process, o.x0
  local t = times_in(stratum, o.seed, 2 * k, o.B)
  local sums = gradient.scope(function()
    local xt = process:q_sample(x0, t, given.normal(o.seed, 2 * k + 1, x0:shape()))
    local mean, learned = predicted(o, xt, t)
    if not learned then return samples.rows((x0 - mean):square()):sum(2) end
    local each = type(t) == "table" and core.tensor(t) or core.full({ o.B }, t)
    return samples.rows(divergence(process, x0, mean, each, learned)):sum(2)
  end):totable()
  if process.outputs == 2 then return sums end
  for b = 1, o.B do sums[b] = step_nats(o, type(t) == "table" and t[b] or t, sums[b]) end
  return sums
end

-- The decoder's term, L_0.
local function decoder_nats(o)
  local guard <close> = gradient.guard() -- luacheck: ignore 211
  local x1 = o.process:q_sample(o.x0, 1, given.normal(o.seed, 1, o.x0:shape()))
  local mean, learned = predicted(o, x1, 1)
  return decoder.nats(o.x0, mean, learned or log_variance(o.process, 1), o.decoder, o.bins)
end

-- The prior's term, L_T = KL(q(x_T | x_0) || N(0, prior variance)), which is exact.
local function prior_nats(o)
  local schedule, nats = o.process.schedule, {}
  local factor = (schedule:signal(o.process.T) / schedule:prior_std()) ^ 2 / 2
  local constant = o.D * schedule:prior_kl(0) * math.log(2)
  for b, squares in ipairs(given.sums(o.x0:square())) do nats[b] = constant + factor * squares end
  return nats
end

-- ==== the result =============================================================================

--- The result of d.likelihood.vlb. It prints as a table.
---@class diffusion.bound
local Bound = { __name = "diffusion.bound" }
Bound.__index = Bound

-- At most six rows for the terms: sums over ranges of t.
local function rows_of(terms)
  local rows, n = {}, #terms
  local parts = math.min(n, 6)
  for i = 1, parts do
    local first, last, sum = (i - 1) * n // parts + 1, i * n // parts, 0
    for k = first, last do sum = sum + terms[k].value * (terms[k].to - terms[k].from + 1) end
    rows[i] = ("    t = %-10s %.5g"):format(terms[first].from .. ".." .. terms[last].to, sum)
  end
  return rows
end

function Bound.__tostring(r)
  local lines = { ("bound on -ln p of %d samples in %s"):format(r.samples, r.unit) }
  local function add(label, value, deviation)
    if value then lines[#lines + 1] = ("  %-8s %s"):format(label, given.shown(value, deviation)) end
  end
  add("prior", r.prior, r.errors.prior)
  add("steps", r.steps, r.errors.steps)
  table.move(rows_of(r.terms), 1, 6, #lines + 1, lines)
  add("decoder", r.decoder, r.errors.decoder)
  add("total", r.total, r.error)
  return table.concat(lines, "\n")
end
legible.speaks(Bound)
lookup.strict("bound", Bound,
  { "samples", "D", "unit", "errors", "prior", "steps", "decoder", "total", "error", "terms", "per_sample" })

local function scaled(list, c)
  local out = {}
  for b, v in ipairs(list) do out[b] = c * v end
  return out
end

local function add_to(sum, list, c)
  for b, v in ipairs(list) do sum[b] = (sum[b] or 0) + c * v end
end

-- The terms of all strata in the given unit, and their sum for each sample.
local function all_terms(o, strata, unit)
  local terms, sum = {}, {}
  for k, stratum in ipairs(strata) do
    local each = scaled(given.all(o, stratum_nats, k, stratum), unit)
    local value, deviation = given.mean(each)
    terms[k] = { t = (stratum.from + stratum.to) / 2, from = stratum.from, to = stratum.to, value = value,
                 error = deviation }
    add_to(sum, each, stratum.to - stratum.from + 1)
  end
  return terms, sum
end

-- Whether the strata cover all of 2..T.
local function whole(strata, T)
  local count = 0
  for _, stratum in ipairs(strata) do count = count + stratum.to - stratum.from + 1 end
  return count == T - 1
end

local function total_of(r, parts)
  local per_sample = {}
  for _, part in ipairs(parts) do add_to(per_sample, part, 1) end
  r.total, r.error = given.mean(per_sample)
  r.per_sample = core.tensor(per_sample)
end

local function bound(o)
  local discrete = o.decoder ~= "gaussian"
  local unit = discrete and 1 / (o.D * math.log(2)) or 1
  local strata, first = strata_of(o.t, o.process.schedule)
  local r = { samples = o.samples, D = o.D, unit = discrete and "bits/dim" or "nats", errors = {} }
  local prior = scaled(given.all(o, prior_nats), unit)
  local terms, steps = all_terms(o, strata, unit)
  r.terms, r.prior, r.errors.prior = terms, given.mean(prior)
  local covered = whole(strata, o.process.T)
  if covered and #strata > 0 then r.steps, r.errors.steps = given.mean(steps) end
  if first then
    local last = scaled(given.all(o, decoder_nats), unit)
    r.decoder, r.errors.decoder = given.mean(last)
    if covered then total_of(r, { prior, steps, last }) end
  end
  return setmetatable(r, Bound)
end

--- The variational bound on -ln p(x0) of a model's reverse process (Ho et al. 2020, eq. 5), by
--- term. The prior's term is L_T = KL(q(x_T | x_0) || p(x_T)). The terms of steps are KL(q(x_{t-1}
--- | x_t, x_0) || p(x_{t-1} | x_t)) for t = 2..T, and the decoder's is -ln p(x_0 | x_1). L_T is
--- exact; the others are means with one noise for each sample and t. At t = 1 the posterior has no
--- variance, so that of t = 2 is used, as in the code of Ho et al. 2020. A learned variance, or a
--- variance function that is above 0 at (1, 0), is used as it is. x0' isn't clipped by default,
--- since clipped means are not those of the model's reverse process. Nor is the model conditioned
--- on its own x0 (self_condition), since its steps would then depend on more than x_t.
---
--- Images are levels of [-1, 1], and the unit is bits per dimension: a bound on the length of a code
--- for the levels. For continuous data use decoder = "gaussian", the density N(x0; x0', variance). The
--- unit is then nats per sample, comparable to an entropy.
---@param model function|table a denoiser, called as (xt, t, {class=}); its output is twice as wide if
---  the process's variance is learned, and the variance is then per element
---@param process diffusion.process
---@param x0 diffusion.tensor {B, ...}
---@param options diffusion.likelihood_vlb_options?
---@return diffusion.bound bound {total, error, prior, steps, decoder, errors = {prior, steps,
---  decoder}, terms = { {t, from, to, value, error}, ... }, per_sample = {B}, samples, D, unit}.
---  value is the mean of the terms of from..to. error is a standard error that includes the
---  samples, their noise and the choice of t. total, steps and per_sample are nil if terms are
---  missing
---@usage local model, process = d.load_model "digits"
--- local x0 = d.data.digits().x:narrow(1, 1, 8)
--- print(d.likelihood.vlb(model, process, d.image.to_float(x0), { t = 10, seed = 1 }))
return function(model, process, x0, options)
  local o = given.options(where, rules, model, process, x0, options)
  if o.decoder ~= "gaussian" then given.within(where, x0, 'decoder = "gaussian" is for other data') end
  o.model_opts = conditions.with(o.inputs or {}, { class = o.class })
  return gradient.no_grad(bound, o)
end
