-- Options that functions which draw samples share.
local classes = require "diffusion.classes"
local conditions = require "diffusion.conditions"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local rule = require "diffusion.rule"

-- The number of steps, and for `all` of them in words.
local function steps(all)
  local usual = 50
  return { "integer", min = 1, otherwise = usual, text = "number of steps; rk45 and dpm_adaptive find their own",
    default_text = ("%d, or %s if less; %s for %s"):format(usual, all, all, families.all_levels()) }
end

return {
  model = rule.model, process = rule.process, seed = rule.seed, class = classes.rule, inputs = conditions.rule,
  sampler = { "any", default = "unipc", choice = "sampler", as = "string|function|table",
    text = "a name of d.sampler.names() or "
    .. "d.sampler.presets(), {name, option = ...}, or a function" },
  steps = steps "T",
  steps_below = opts.joined(steps "all levels", { text = "number of steps that follow" }),
  grid = { "any", as = "string|number[]|diffusion.grid|fun(schedule: any, N: integer): diffusion.grid",
    otherwise = "trailing",
    text = "a name of d.grid.names() or d.grid.presets(), a grid, a function that makes one, or a list of times" },
  guidance = { "number|function", otherwise = 1, as = "number|fun(model: function): function",
    text = "scale of classifier-free guidance, or a function that makes a denoiser of the model" },
  self_condition = { "boolean", default = false, text = "the model is conditioned on its last x0" },
  on_step = { "function", as = "fun(step: table)", text = "called with each step after it" },
  nan = { one_of = { "error", "keep" }, default = "error",
    text = "a sample that is not finite ends the run with an error, or is kept" },
}
