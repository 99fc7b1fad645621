--- Reflow: pairs of a noise and the sample to which a model's flow takes it. They train a next
--- model, whose trajectories are straighter (Liu et al. 2023, algorithm 1).
local core = require "diffusion.core"
local classes = require "diffusion.classes"
local families = require "diffusion.sampler.families"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"
local sampler = require "diffusion.sampler"
local set = require "diffusion.data.set"

local rules = opts.declare("reflow", {
  shape = { "table", required = true, as = "integer[]", text = "{n, ...}, the number of pairs first" },
  size = { "integer", default = 1000, min = 1, text = "samples that are drawn at a time" },
  sampler = opts.joined(option.sampler, { text = "a sampler without noise of its own, as of d.sample" }),
  steps = option.steps, grid = option.grid, seed = option.seed, guidance = option.guidance, nan = option.nan,
  self_condition = option.self_condition,
  class = opts.joined(option.class, { text = "the class of all pairs or of each, from 1" }),
})

-- x_T must be eps itself.
local function check_end(process)
  local schedule = process.schedule
  local a, s = schedule:signal(process.T), schedule:noise(process.T)
  if a == 0 and math.abs(s - 1) < 1e-12 then return end
  fail.raise("reflow: x_T must be pure noise, but %s has x_T = %.6g x_0 + %.6g eps; d.schedule.flow ends there",
    schedule.name, a, s)
end

-- A sampler that adds noise gives no pairs, since its end doesn't depend on the start alone.
local function check_sampler(which)
  local name, solver, own = families.resolve(which)
  if solver.stochastic or (own.eta or 0) > 0 then
    fail.raise("reflow: %s adds noise, so its end doesn't depend on the start alone; take unipc, ddim or heun", name)
  end
end

-- A part of the classes.
local function part(class, from, count) return class and class:narrow(1, from, count):contiguous() end

--- Pairs (x0, eps) of a model, where x0 is the end of its flow from eps. The result is a set whose
--- batches give step, x0, class and eps. Give eps to the objective, which then keeps them paired. A
--- trainer does that by itself.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process its x_T must be noise alone, as with d.schedule.flow
---@param options diffusion.reflow_options
---@return diffusion.set pairs .x, .eps, .class
---@usage local process = d.process{ schedule = d.schedule.flow{ T = 50 }, predict = "flow" }
--- local model = d.oracle.gaussian{ std = { 1, 0.5 } }:denoiser(process)
--- local pairs = d.reflow(model, process, { shape = { 64, 2 }, seed = 1 })
--- local loss_of, net = d.objective{ process = process, weighting = "uniform" }, d.mlp{ hidden = 16, depth = 1 }
--- for step, x0, class, eps in pairs:batches{ size = 32, steps = 2 } do
---   d.record(loss_of, net, x0, { eps = eps }):backward()
--- end
local function reflow(model, process, options)
  opts.denoiser("reflow", model)
  opts.process("reflow", 2, process, "model, process, options")
  local o = families.check("reflow", options, rules, 3)
  check_end(process)
  check_sampler(o.sampler)
  local eps = fail.call(core.randn, o.shape, { seed = o.seed or core.random_seed() })
  local n = eps:dim() > 0 and eps:size(1) or 0
  if n == 0 then fail.raise("reflow: shape %s holds no samples", kind.shape_text(eps)) end
  local class, out = o.class and classes.labels("reflow", o.class, n), {}
  for from = 1, n, o.size do
    local count = math.min(o.size, n - from + 1)
    out[#out + 1] = sampler.sample { model = model, process = process, init = eps:narrow(1, from, count):contiguous(),
      sampler = o.sampler, steps = o.steps, grid = o.grid, guidance = o.guidance, class = part(class, from, count),
      self_condition = o.self_condition, nan = o.nan }
  end
  return set.new { x = #out == 1 and out[1] or core.ops.cat(out, 1), eps = eps, class = class, name = "reflow" }
end

return { reflow = reflow }
