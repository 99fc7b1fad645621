-- SDEdit follows Meng et al. 2022, "SDEdit: guided image synthesis and editing with stochastic
-- differential equations". x0 is noised to a level by q(x_t | x0), and the model samples from there.
-- The higher the level, the less of x0 is left.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"
local sampler = require "diffusion.sampler"
local samples = require "diffusion.samples"
local given = require "diffusion.edit.given"
local plan = require "diffusion.edit.plan"

local img2img = {}

local plan_rules = opts.declare("edit_plan", opts.joined(plan.start, plan.steps, { process = option.process }))

--- The start and the steps of an edit, before it runs. It has exactly the given number of steps, from
--- exactly the given level.
--- Give one of start and strength.
---@param options diffusion.edit_plan_options
---@return diffusion.plan
---@usage local process = d.process{ schedule = d.schedule.cosine{}, predict = "v" }
--- print(d.edit.plan{ process = process, strength = 0.05, steps = 15 })
function img2img.plan(options)
  return plan.of("edit.plan", opts.check("edit.plan", options, plan_rules), {})
end

local rules = opts.declare("edit_img2img", given.rules(plan.start, plan.steps,
  { x0 = given.tensor "the pictures {B, ...}", sampler = option.sampler }))

--- Pictures similar to given ones: x0 is noised to a level by q(x_t | x0), and sampled from there
--- (Meng et al. 2022). With the same seed, sample k is the same alone or in a batch.
--- Give one of start and strength, as for edit.plan. A strength of 1 starts at T, or at the last level
--- at which a process that predicts eps or score unclipped can predict x0.
---@param options diffusion.edit_img2img_options
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
  local o = families.check(where, options, rules)
  opts.denoiser(where, o.model)
  samples.constant(where, "x0", o.x0)
  local p = plan.of(where, o, (given.downward(where, o.sampler)))
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
