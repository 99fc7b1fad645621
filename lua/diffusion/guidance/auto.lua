--- Autoguidance follows Karras et al. 2024, "Guiding a diffusion model with a bad version of
--- itself", eq. 5.
-- out = w + scale (m - w). w is the output of a weaker model of the same data: a smaller one, or one
-- trained for less long. Errors of both, which are larger in the weak one, are reduced.
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"
local opts = require "diffusion.opts"

local rules = opts.declare("guidance_auto", {
  scale = { "number", required = true, text = "1 is the model alone" }, interval = strength.rules.interval,
})

--- A denoiser guided by a weaker version of itself: weak + scale (model - weak). See Karras et al.
--- 2024, "Guiding a diffusion model with a bad version of itself". Both get the same arguments.
---@param model any a denoiser (xt, t, {class=})
---@param weak any another denoiser with the same target and process
---@param options diffusion.guidance_auto_options
---@return function denoiser
---@usage local model, process = d.load_model "digits"
--- local weak = d.oracle.empirical(d.data.digits(), { std = 0.3 }):denoiser(process)
--- local guided = d.guidance.auto(model, function(xt, t) return weak(xt, t) end, { scale = 1.5 })
--- d.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, class = 3, steps = 10 })
return function(model, weak, options)
  local o = strength.options("auto", model, options, rules, 3)
  opts.denoiser("auto: weak", weak)
  return trained.wrap(function(xt, t, given)
    local function ask(name, which) return strength.answer(name, (which(xt, t, given)), xt) end
    return strength.between(function() return ask("auto: weak", weak) end, function() return ask("auto", model) end,
      strength.at(o, t, 1), xt)
  end, model)
end
