--- Classifier-free guidance: Ho & Salimans 2022, eq. 6, with scale = 1 + w.
-- out = u + scale (c - u), with the outputs c with the class and u without. At a given x_t all
-- targets are affine in one another, so guiding eps, v or x0 gives the same result. rescale does
-- not, since deviations aren't affine. The v of a learned variance is no such target, and stays c's.
local conditions = require "diffusion.conditions"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"

local rules = opts.declare("guidance_cfg", {
  scale = { "number", required = true, text = "1 is the conditional model, 0 the unconditional one" },
  rescale = { "number", default = 0, min = 0, max = 1, text = "phi of Lin et al. 2024: share of the conditional "
    .. "output's deviation that is restored in each sample" },
  interval = strength.rules.interval, without = strength.rules.without,
})

-- Lin et al. 2024, section 3.4: the guided output with the standard deviation of c in each sample,
-- mixed in by phi. A sample whose deviation is 0 isn't changed.
local function rescaled(out, c, phi)
  local dims = {}
  for i = 2, out:dim() do dims[#dims + 1] = i end
  local own, told = out:std(dims, true, 0), c:std(dims, true, 0)
  local ratio = core.ops.where(own:gt(0), told / own, 1)
  return out * (phi * ratio + (1 - phi))
end

--- The model's two outputs at a call, as functions: without the class, and with it.
---@param name string the guidance's name
---@param o table the guidance's options
---@param model any a denoiser
---@param xt diffusion.tensor
---@param t any
---@param given table|nil
---@return function u
---@return function c
local function answers(name, o, model, xt, t, given)
  if not (given and (given.class or o.without)) then
    fail.raise("%s: guidance %g needs a class, or option without with inputs of the unconditional call", name, o.scale)
  end
  local function ask(how) return strength.answer(name, (model(xt, t, how)), xt) end
  local bare = conditions.with(strength.without_class(given), o.without or {})
  return function() return ask(bare) end, function() return ask(given) end
end

--- A guided denoiser, u + scale (c - u): c is conditioned on the class and u is not (Ho & Salimans
--- 2022, eq. 6).
--- The deviation that `rescale` restores is that of the prediction, so results differ between eps and v.
---@param model any a denoiser (xt, t, {class=})
---@param options diffusion.guidance_cfg_options
---@return function denoiser
---@usage local model, process = d.load_model "digits"
--- local guided = d.guidance.cfg(model, { scale = 2, rescale = 0.7 })
--- print(guided(d.randn(1, 8, 8, 1), 500, { class = d.tensor({ 4 }, { dtype = "i64" }) }):std():item())
local function cfg(model, options)
  local o = strength.options("cfg", model, options, rules, 2)
  return trained.wrap(function(xt, t, given)
    local u, c = answers("cfg", o, model, xt, t, given)
    local finish = o.rescale > 0 and function(out, told) return rescaled(out, told, o.rescale) end or nil
    return strength.between(u, c, strength.at(o, t, 1), xt, finish)
  end, model)
end

return { cfg = cfg, answers = answers }
