-- ln p(x0) of the probability-flow ODE, by the change of variables along its trajectory to noise
-- (Song et al. 2021, score SDE, section 4.3 and appendix D.2).
local classes = require "diffusion.classes"
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local lookup = require "diffusion.lookup"
local legible = require "diffusion.legible"
local adaptive = require "diffusion.sampler.adaptive"
local dormand_prince = require "diffusion.sampler.dormand_prince"
local measure = require "diffusion.measure"
local opts = require "diffusion.opts"
local part = require "diffusion.over.part"
local place = require "diffusion.sampler.place"
local rule = require "diffusion.rule"
local dequantise = require "diffusion.likelihood.dequantise"
local divergence = require "diffusion.likelihood.divergence"
local given = require "diffusion.likelihood.given"

local where, exact_to = "likelihood.ode", 64
local each, mix = adaptive.each, core.ops.mix

local rules = opts.declare("likelihood_ode", opts.joined(adaptive.rules(1e-5, 1e-5), {
  divergence = { one_of = { "auto", "exact", "hutchinson" }, default = "auto",
    text = '"exact" takes D gradients, "hutchinson" estimates; "auto" is exact to 64 dimensions' },
  probes = { "integer", default = 1, min = 1, text = "random vectors of Hutchinson's estimate" },
  seed = measure.seed, class = classes.rule, inputs = conditions.rule,
  dequantise = { "boolean|table", default = false,
    as = "boolean|diffusion.likelihood_dequantise_options", text = "images: adds uniform noise to their levels" },
  from = { "number", default = 1, min = 1, text = "level at which the ODE begins" },
  to = { "number", default_text = "T, or the last level with an SNR of 3.7e-5",
    text = "level at which the prior is taken" },
  over = rule.over "the samples",
}))

-- ==== the trajectory =========================================================================

-- The classes of n copies of the batch. A single number is for all.
local function copied(class, n)
  if n == 1 or class == nil or type(class) == "number" then return class end
  local list, out = core.is_tensor(class) and class:totable() or class, {}
  for _ = 1, n do table.move(list, 1, #list, #out + 1, out) end
  return out
end

-- The conditions of n copies of the batch.
local function conditions_of(o, n)
  local out = { class = copied(o.class, n) }
  for name, x in pairs(o.inputs or {}) do
    out[name] = n == 1 and x or core.ops.cat(each(n, function() return x end), 1)
  end
  return out
end

-- dz/dphi = (a eps - s x0)/r = v/r, at one level per sample: {n B,D} to {n B,D}.
local function field(o, at, n)
  local rows, predict, shape = n * o.B, o.process.predict, o.x0:shape()
  local function of(what) return each(rows, function(k) return at[(k - 1) % o.B + 1][what] end) end
  local t, r, model_opts = of "t", of "r", conditions_of(o, n)
  local inverse = each(rows, function(k) return 1 / r[k] end)
  shape[1] = rows
  return function(z)
    local xt = mix(r, z:reshape(shape))
    local out = o.process:split(answer.of_denoiser(where, o.model(xt, t, model_opts), xt, o.process.outputs))
    local v = predict == "v" and out or o.process:convert(out, { from = predict, to = "v", xt = xt, t = t })
    return mix(inverse, v):reshape(rows, o.D)
  end
end

-- The state is z and the logarithm of the growth of its volume, as {B,D+1}.
local function slope_of(o)
  return function(state, at)
    o.evaluations = o.evaluations + 1
    local growth, dz = o.trace(function(n) return field(o, at, n) end, state:narrow(2, 1, o.D))
    return core.ops.cat({ dz, growth }, 2)
  end
end

-- The larger of the errors of z and of the logarithm. Averaged over D + 1 numbers, the logarithm
-- would hardly count.
local function worse(D)
  return function(state, low, high, o)
    local function error_of(from, n)
      return adaptive.errors(state:narrow(2, from, n), low:narrow(2, from, n), high:narrow(2, from, n), o)
    end
    local of_z, of_growth = error_of(1, D), error_of(D + 1, 1)
    return each(#of_z, function(b)
      local a, c = of_z[b], of_growth[b]
      return (a ~= a or a > c) and a or c
    end)
  end
end

-- The last level with signal, if x_T has none and no level lies just below T.
local function last_level(process)
  local schedule, T = process.schedule, place.last_seen(process)
  if schedule:snr(T) > 0 or T == 1 or fail.pcall(schedule.signal, schedule, T - 0.5) then return T end
  return T - 1
end

local function check_levels(o)
  local T = o.process.T
  o.to = o.to or last_level(o.process)
  if not (o.to <= T and o.from < o.to) then
    fail.raise("%s: levels rise within 1..%d, got from = %g and to = %g", where, T, o.from, o.to)
  end
  local level = adaptive.circle(o.process)
  return fail.call(level, o.to), fail.call(level, o.from), level
end

-- -ln p of each sample of x0 + sigma eps, with the sigma of the first level.
local function nats_of(o, t, s, level)
  o.trace = o.exact and divergence.exact(o.B, o.D) or divergence.hutchinson(o.B, o.D, o.probes, o.seed)
  local try = dormand_prince.stepper(o.process, level, t, s, slope_of(o), mix)
  local z = o.x0:reshape(o.B, o.D) * s.a -- x0 is x/a, and z is x/r
  local state = adaptive.walk(core.ops.cat({ z, core.zeros(o.B, 1) }, 2), dormand_prince.angle(s),
    dormand_prince.angle(t), try, { h = 0.02, atol = o.atol, rtol = o.rtol, most = o.most, order = 5, name = where,
                                    place = "the angle", mix = mix, errors = worse(o.D) })
  local std = o.process.schedule:prior_std() / t.r
  local squares, growth = given.sums(state:narrow(2, 1, o.D):square()), given.sums(state:narrow(2, o.D + 1, 1))
  local constant = o.D * (math.log(std) + 0.5 * math.log(2 * math.pi) - math.log(s.a))
  return each(o.B, function(b) return constant + squares[b] / (2 * std ^ 2) - growth[b] end)
end

-- ==== the result =============================================================================

--- The result of d.likelihood.ode. It prints as two lines.
---@class diffusion.likelihood
local Likelihood = { __name = "diffusion.likelihood" }
Likelihood.__index = Likelihood

function Likelihood.__tostring(r)
  return ("-ln p of %d samples in %d dimensions: %s nats (%s divergence, %d evaluations)\n  %s bits/dim%s"):format(
    r.nats:size(1), r.D, given.shown(r.mean, r.error), r.divergence, r.evaluations,
    given.shown(r.bits, r.bits_error), r.constant ~= 0 and (", %.5f of them for dequantising"):format(r.constant) or "")
end
legible.speaks(Likelihood)
lookup.strict("likelihood", Likelihood,
  { "nats", "mean", "error", "bits", "bits_error", "constant", "D", "divergence", "evaluations", "from", "to" })

local function likelihood(o)
  local from <close> = part.draws_from(o.first) -- luacheck: ignore 211
  local x0, constant = dequantise(o.x0, o.dequantise, o.seed)
  o.x0, o.evaluations = x0, 0
  o.exact = o.divergence == "exact" or o.divergence == "auto" and o.D <= exact_to
  local nats = given.all(o, nats_of, check_levels(o))
  if o.over then o.evaluations = math.tointeger(math.max(table.unpack(part.numbers(o.over, { o.evaluations })))) end
  local unit, mean, deviation = 1 / (o.D * math.log(2)), given.mean(nats)
  return setmetatable({ nats = core.tensor(nats), mean = mean, error = deviation, D = o.D, constant = constant,
    bits = mean * unit + constant, bits_error = deviation and deviation * unit, evaluations = o.evaluations,
    divergence = o.exact and "exact" or "hutchinson", from = o.from, to = o.to }, Likelihood)
end

--- Returns -ln p(x0), the density of the model's probability-flow ODE (Song et al. 2021, score SDE,
--- eq. 39).
--- The ODE takes x to noise in the angle atan(s/a), by adaptive steps of each sample (as in the
--- sampler rk45). The divergence of its field is integrated with it, and the prior is evaluated at
--- its end.
---
--- The ODE can't start without noise, so it starts at level `from`. The density is that of x0 +
--- sigma eps with sigma = s/a there, evaluated at x0. For the best denoiser the mean of -ln p is then
--- the data's entropy plus KL(p || p with that noise). That term is never negative, and falls as
--- sigma^4 where p is smooth. (Song et al. also use x0 as x at their first level.) At `to` the density
--- is taken to be the prior's. The error is due to the remains of x0 in x there.
---
--- Up to 64 dimensions the divergence is exact, with D gradients per evaluation. Beyond, it is
--- Hutchinson's unbiased estimate from `probes` vectors of -1 and 1. Bits per dimension are
--- mean/(D ln 2) + c. Without dequantise c is 0. With it, images have levels whose centres go from -1
--- to 1, as in d.image (y = x/127.5 - 1). A uniform number within +-1/2 level is added, and
--- c = log2(127.5) = 6.99435. With span = "edges" they become y = (x + u)/128 - 1 with u in [0, 1), as
--- in score SDE, and c = log2(128) = 7.
---@param model function|table a denoiser, called as (xt, t, {class=}), without self-conditioning;
---  gradients pass through it
---@param process diffusion.process its clip is not applied here
---@param x0 diffusion.tensor {B, ...}
---@param options diffusion.likelihood_ode_options?
---@return diffusion.likelihood likelihood {nats = {B}, mean, error, bits, bits_error, constant, D,
---  divergence, evaluations, from, to}: error is the standard error of mean, and an evaluation
---  includes the gradients for the divergence
---@usage local process = d.process{ schedule = d.schedule.flow{}, predict = "x0" }
--- local moons = d.oracle.moons{}
--- print(d.likelihood.ode(moons:denoiser(process), process, moons:sample(100, { seed = 1 })), moons:entropy())
return function(model, process, x0, options)
  return gradient.no_grad(likelihood, given.options(where, rules, model, process, x0, options))
end
