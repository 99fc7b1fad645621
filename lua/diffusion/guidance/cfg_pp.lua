--- CFG++: Chung et al. 2024, "CFG++: manifold-constrained classifier free guidance for diffusion
--- models", algorithm 2.
-- x0 is that of the guided output u + scale (c - u). The noise of the next level is that of u, the
-- output without a class. So the denoiser returns both. A sampler whose step uses only x0 and eps
-- (ddim, euler) then is the paper's without a change.
local answers = require("diffusion.guidance.cfg").answers
local opts = require "diffusion.opts"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"

local rules = opts.declare("guidance_cfg_pp", {
  scale = { "number", required = true, min = 0, text = "lambda, 0 to 1 in the paper" },
  interval = strength.rules.interval, without = strength.rules.without,
})

--- A denoiser for CFG++ (Chung et al. 2024, algorithm 2). It returns u + scale (c - u), from which
--- samplers compute x0, and u, from which they compute eps. c is conditioned on the class and u is
--- not. It works with ddim, euler, euler_ancestral and your own samplers; others refuse it. A caller
--- that uses only the first output gets cfg's, so apply cfg_pp last, around other guidances.
---@param model any a denoiser (xt, t, {class=})
---@param options diffusion.guidance_cfg_pp_options
---@return function denoiser
---@usage local model, process = d.load_model "digits"
--- local guided = d.guidance.cfg_pp(model, { scale = 0.6 })
--- d.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, class = 3, sampler = "ddim",
---                        steps = 20 })
return function(model, options)
  local o = strength.options("cfg_pp", model, options, rules, 2)
  return trained.wrap(function(xt, t, given)
    local u, c = answers("cfg_pp", o, model, xt, t, given)
    local inside = strength.at({ scale = 1, interval = o.interval }, t, 0)
    if inside == 0 then return c() end
    local from, to = u(), c()
    if inside == 1 then return strength.mixed(from, to, o.scale, xt), from end
    return strength.mixed(from, to, strength.at(o, t, 1), xt), strength.beyond(to, from, inside)
  end, model)
end
