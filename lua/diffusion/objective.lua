--- What a denoiser is trained to do: draw t and eps, noise, predict, and weigh the error.
-- A weighting is a function of SNR, written once for the error of x0; since for one error
-- |x0 - x0'|^2 = |eps - eps'|^2 / SNR, and likewise for any target, the weight on it
-- follows (Hang et al. 2023, section 3.3, for min-SNR).
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"

local own_rules = { simple = {}, min_snr = { gamma = { "number", default = 5, above = 0 } } }

local weighting = {
  -- Ho et al. 2020, eq. 14: the plain error of eps
  simple = function(snr) return snr end,
  -- Hang et al. 2023, eq. 8: min(SNR, gamma) on x0
  min_snr = function(snr, o) return snr:clamp(nil, o.gamma) end,
}

-- From the weight on x0 to the weight on what is predicted: w_target = w_x0 * factor(snr,
-- sigma_data, s). With P x0 + Q eps predicted, factor = 1 / (P - Q a/s)^2.
local factor = {
  x0 = function() return 1 end,
  eps = function(snr) return 1 / snr end,
  v = function(snr, _, s) return 1 / (s * (snr + 1)) ^ 2 end,
  score = function(snr, _, s) return s ^ 2 / snr end,
  flow = function(snr) return 1 / (1 + snr:sqrt()) ^ 2 end,
  -- c_out^2 = sigma^2 d^2 / (sigma^2 + d^2) with sigma^2 = 1/SNR (Karras et al. 2022, table 1)
  edm = function(snr, d) return d ^ 2 / (1 + snr * d ^ 2) end,
}

local names = {}
for name in pairs(weighting) do names[#names + 1] = name end
table.sort(names)

local function resolve(which)
  local options = {}
  if type(which) == "table" then
    for k, v in pairs(which) do if k ~= 1 then options[k] = v end end
    which = which[1]
  end
  if type(which) == "function" then return which, options end
  if not weighting[which] then
    opts.fail("objective: %s", opts.unknown("weighting", which, names))
  end
  return weighting[which], opts.check(which, options, own_rules[which])
end

local rules = {
  process = { "process", required = true },
  weighting = { "string|table|function", default = "simple" },
  drop_class = { "number", default = 0, min = 0, max = 1 },
}

local call_rules = { class = { "number|table|tensor" } }

-- Each class is hidden (0: none) with probability p.
local function dropped(class, B, p)
  if class == nil or p == 0 then return class end
  if type(class) == "table" then
    class = core.tensor(opts.whole_numbers("objective: class", class), { dtype = "i64" })
  end
  if type(class) == "number" then class = core.full({ B }, class, { dtype = "i64" }) end
  local keep = core.rand(B):ge(p):to "i64"
  return class * keep
end

local least_snr = 1e-37 -- 1/SNR of less is no float32

-- Where x_t holds no signal, an error of eps says nothing of x0, on which weights stand.
local function check_signal(process)
  local predict, T = process.predict, process.T
  if predict ~= "eps" and predict ~= "score" then return end
  local snr = process.schedule:snr(T)
  if snr >= least_snr then return end
  opts.fail("objective: the SNR at t = %d is %g, so %s can't be weighed there; predict v, x0 or flow", T,
    snr, predict)
end

--- A loss for `d.record`: t uniform in 1..T, eps standard normal.
---@param options table {process, weighting = "simple" | "min_snr" | {"min_snr", gamma = 5} |
---  function(snr) -> weight on the error of x0, drop_class = share of classes hidden}
---@return function objective (model, x0, {class=}) -> loss (one number), {t, eps, xt,
---  per_sample}: t {B}, eps and xt as x0, per_sample {B} weighted
---@usage local process = d.process{ schedule = d.schedule.cosine{}, predict = "v" }
--- local loss_of = d.objective{ process = process, weighting = { "min_snr", gamma = 5 } }
--- local loss, seen = d.record(loss_of, d.mlp{ hidden = 16, depth = 1 }, d.randn(8, 2))
--- print(loss:item(), seen.t)
local function objective(options)
  local o = opts.check("objective", options, rules)
  local process, schedule = o.process, o.process.schedule
  local weigh, weigh_opts = resolve(o.weighting)
  local convert = factor[process.predict]
  check_signal(process)
  return function(model, x0, given)
    if not core.is_tensor(x0) then
      opts.fail("objective: x0 must be a tensor, got %s; its arguments are (model, x0, {class=})", opts.shown(x0))
    end
    opts.denoiser("objective", model)
    local B = x0:dim() > 0 and x0:size(1) or 0
    if B == 0 then opts.fail("objective: x0 %s holds no samples; [B,...] expected", opts.shape_text(x0)) end
    local class = opts.check("objective", given, call_rules, 3).class
    local guard <close> = gradient.guard()
    local t = core.randint(1, process.T, { B })
    local xt, eps = process:q_sample(x0, t)
    local target = process:target(x0, eps, t)
    local out = opts.answer("objective", model(xt, t, { class = dropped(class, B, o.drop_class) }), xt)
    local snr = schedule:snr(t)
    local weight = weigh(snr, weigh_opts) * convert(snr, process.sigma_data, schedule:noise(t))
    local per_sample = weight * core.ops.mse(out, target, "sample")
    local loss = guard:keep(per_sample:mean(), t, eps, xt, per_sample)
    return loss, { t = t, eps = eps, xt = xt, per_sample = per_sample }
  end
end

return { objective = objective }
