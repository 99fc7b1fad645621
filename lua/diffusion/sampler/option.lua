-- Options that functions which draw samples share.
local classes = require "diffusion.classes"
local conditions = require "diffusion.conditions"
local rule = require "diffusion.rule"

return {
  model = rule.model, process = rule.process, seed = rule.seed, class = classes.rule, inputs = conditions.rule,
  sampler = { "any", default = "unipc", choice = "sampler", as = "string|function|table",
    text = "a name of d.sampler.names() or "
    .. "d.sampler.presets(), {name, option = ...}, or a function" },
  steps = { "integer", min = 1, text = "number of steps; rk45 and dpm_adaptive find their own",
    default_text = "50, or T if T is less; T for ddpm, annealed_langevin and predictor_corrector" },
  grid = { "any", as = "string|number[]|diffusion.grid", default_text = '"trailing"',
    text = "a name of d.grid.names() or d.grid.presets(), a grid, or a list of times" },
  guidance = { "number|function", default_text = "1", as = "number|fun(model: function): function",
    text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
  self_condition = { "boolean", default = false, text = "the model is conditioned on its last x0" },
  on_step = { "function", as = "fun(step: table)", text = "called with each step after it" },
  nan = { one_of = { "error", "keep" }, default = "error",
    text = "a sample that is not finite ends the run with an error, or is kept" },
}
