-- SDEdit: Meng et al. 2022, "SDEdit: guided image synthesis and editing with stochastic
-- differential equations". x0 is noised to a level, q(x_t | x0), and the model comes back from
-- there: the higher the level, the less of x0 is left.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local sampler = require "diffusion.sampler"
local samples = require "diffusion.samples"
local given = require "diffusion.edit.given"
local plan = require "diffusion.edit.plan"

local img2img = {}

--- Where an edit starts and which steps it takes, before it is begun: exactly as many as asked
--- for, from exactly that level.
---@param options table {process, start = t | strength = 0..1: the level nearest to strength T
--- (half up), steps = every whole level | grid = list of times or d.grid, of which those below the
--- start are walked}
---@return diffusion.plan
---@usage local process = d.process{ schedule = d.schedule.cosine{}, predict = "v" }
--- print(d.edit.plan{ process = process, strength = 0.05, steps = 15 })
function img2img.plan(options)
  return plan.of("edit.plan", opts.check("edit.plan", options, plan.rules()))
end

local rules = plan.rules()
rules.x0, rules.sampler = { "any", required = true }, { "any", default = "unipc" }
given.rules(rules)

--- Other pictures like given ones: x0 noised to a level by q(x_t | x0), and sampled from there
--- (Meng et al. 2022). Of a seed, sample k is the same alone or in a batch.
---@param options table {model, process, x0 = {B, ...}, start = t | strength = 0..1 (exactly one, as
--- edit.plan has it; 0: x0 itself, 1: from T, or where a process that predicts eps or score
--- unclipped would be blind there, from the last level at which it isn't), steps = how many follow,
--- exactly (every whole level if not given) | grid, sampler = "unipc", seed, class, guidance,
--- self_condition, on_step, nan}
---@return diffusion.tensor x as x0
---@return diffusion.plan plan with evaluations
---@usage local model, process = d.load_model "digits"
--- local set = d.data.digits()
--- local x0 = d.image.to_float(set.x:narrow(1, 1, 8))
--- local x, plan = d.edit.img2img{ model = model, process = process, x0 = x0, strength = 0.5, steps = 10, class = 4 }
--- print(plan)
--- d.image.show(x)
function img2img.img2img(options)
  local where = "edit.img2img"
  local o = opts.check(where, options, rules)
  opts.denoiser(where, o.model)
  samples.constant(where, "x0", o.x0)
  if given.downward(where, o.sampler).whole and not o.grid then o.steps = o.steps or 1 end
  local p = plan.of(where, o)
  p.evaluations = 0
  if p.steps == 0 then return o.x0:clone(), p end
  local seed = o.seed or core.random_seed()
  local run = sampler.steps(given.sampling(o, { sampler = o.sampler, grid = p.grid, seed = seed, on_step = o.on_step,
    init = o.process:q_sample(o.x0, p.start, { seed = seed }) }))
  run:finish()
  p.evaluations = run.evaluations
  return run.x, p
end

return img2img
