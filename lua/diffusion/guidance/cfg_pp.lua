--- CFG++: Chung et al. 2024, "CFG++: manifold-constrained classifier free guidance for diffusion
--- models", algorithm 2.
-- x0 is that of the guided answer, u + scale (c - u), and the noise that a step goes on with is
-- that of u, the answer without a class. So the denoiser returns both, and a sampler that goes
-- on from x0 and eps alone (ddim, euler) is the paper's as it stands.
local answers = require("diffusion.guidance.cfg").answers
local opts = require "diffusion.opts"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"

local rules = opts.declare("guidance_cfg_pp", {
  scale = { "number", required = true, min = 0, text = "lambda, 0 to 1 in the paper" },
  interval = strength.rules.interval, without = strength.rules.without,
})

--- A denoiser for CFG++ (Chung et al. 2024, algorithm 2): it returns u + scale (c - u), from which
--- samplers take x0, and u, from which they take eps; c is told the class and u not. For ddim,
--- euler, euler_ancestral and samplers of one's own; others refuse it. Whoever asks it for one
--- answer gets cfg's, so it goes around other guidances.
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
