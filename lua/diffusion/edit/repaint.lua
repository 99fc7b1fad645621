-- RePaint: Lugmayr et al. 2022, "RePaint: inpainting using denoising diffusion probabilistic
-- models", algorithm 1. After each reverse step the kept part of x is replaced by x0 noised to that
-- level, with independent noise. Repeated jumps back make the two parts consistent.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"
local sampler = require "diffusion.sampler"
local place = require "diffusion.sampler.place"
local runs = require "diffusion.sampler.run"
local samples = require "diffusion.samples"
local given = require "diffusion.edit.given"

local repaint = {}

-- ==== the walk ===============================================================================

--- The levels that RePaint visits: down its grid, with jumps back. It prints as a table.
---@class diffusion.repaint_plan
---@field grid diffusion.grid
---@field jump integer number of steps of a jump back
---@field resample integer how often each stretch is sampled
---@field jumps integer number of jumps
---@field steps integer number of reverse steps in all
---@field times number[] every level that is visited, in order, from the first to the data
---@field evaluations integer|nil number of evaluations of the model, once it is done
local Walk = { __name = "diffusion.repaint_plan" }
Walk.__index = Walk

function Walk.__tostring(w)
  return ("repaint: %d reverse steps, %d of the grid and %d after %d jumps back of %d (resample = %d)\n%s"):format(
    w.steps, #w.grid, w.steps - #w.grid, w.jumps, w.jump, w.resample, w.grid)
end
legible.speaks(Walk)
lookup.strict("repaint_plan", Walk, { "grid", "jump", "resample", "jumps", "steps", "times", "evaluations" })

-- Whether a jump starts with `left` steps to go, as in the paper's code. left - 1 must be a multiple
-- of its length, and it must not go beyond the first level. No jump starts from the data.
local function jumps_from(left, n, jump) return left >= 1 and (left - 1) % jump == 0 and left + jump <= n end

-- The moves: 1 is a reverse step, -jump a jump back.
local function moves_of(n, jump, resample)
  local moves, jumped, left = {}, {}, n
  while left > 0 do
    moves[#moves + 1], left = 1, left - 1
    local done = jumped[left] or 0
    if done < resample - 1 and jumps_from(left, n, jump) then
      moves[#moves + 1], jumped[left], left = -jump, done + 1, left + jump
    end
  end
  return moves
end

local function times_of(grid, moves)
  local at, times = 0, { grid[1][1] }
  for k, move in ipairs(moves) do
    at = at + move
    times[k + 1] = at == 0 and grid[1][1] or grid[at][2]
  end
  return times
end

local STEPS <const> = 250
local plan_rules = opts.declare("edit_repaint_plan", {
  process = option.process, grid = option.grid, sampler = opts.joined(option.sampler, { default = "ddpm" }),
  steps = opts.joined(option.steps, { otherwise = STEPS,
    default_text = ("%d, or T if less; those of d.sample for other samplers"):format(STEPS) }),
  jump = { "integer", default = 10, min = 1, text = "steps of a jump back" },
  resample = { "integer", default = 10, min = 1, text = "times that each stretch of a jump is walked; 1: no jumps" },
})

-- The plan and its moves.
local function walk_of(where, o)
  local solver, name = given.downward(where, o.sampler)
  if not o.grid then o.steps = o.steps or place.steps(solver, math.min(plan_rules.steps.otherwise, o.process.T)) end
  local grid = place.grid(o, name, solver)
  if grid.last > 0 then
    fail.raise("%s: the grid stops at t = %g, so x0 can't be kept as it is; let it go to 0", where, grid.last)
  end
  local n = #grid
  if o.resample > 1 and o.jump >= n then
    fail.raise("%s: a jump of %d steps has no room in %d; take a shorter one, more steps, or resample = 1", where,
      o.jump, n)
  end
  local moves = moves_of(n, o.jump, o.resample)
  local jumps = (#moves - n) // (o.jump + 1)
  return setmetatable({ grid = grid, jump = o.jump, resample = o.resample, jumps = jumps, steps = n + jumps * o.jump,
    times = times_of(grid, moves) }, Walk), moves
end

--- The steps and levels of RePaint, before it runs.
---@param options diffusion.edit_repaint_plan_options
---@return diffusion.repaint_plan
---@usage print(d.edit.repaint_plan{ process = d.process{ schedule = d.schedule.linear{} }, steps = 50 })
function repaint.plan(options)
  local where = "edit.repaint_plan"
  return (walk_of(where, families.check(where, options, plan_rules)))
end

-- ==== the picture ============================================================================

-- keep as booleans that broadcast to x0. Raises if it is wrong.
local function mask_of(where, keep, x0)
  if not core.is_tensor(keep) then fail.raise("%s: keep must be a tensor, got %s", where, kind.shown(keep)) end
  local kept = keep:ne(0)
  if not keep:eq(1):eq(kept):all() then
    fail.raise("%s: keep must be 1 (x0 stays) or 0 (repainted) everywhere, but it goes from %g to %g with other "
      .. "values between; threshold it, as keep:gt(0.5)", where, keep:min():item(), keep:max():item())
  end
  local fine, over = fail.pcall(core.ops.where, kept, x0, x0)
  if not fine or kind.shape_text(over) ~= kind.shape_text(x0) then
    fail.raise("%s: keep is %s, which doesn't broadcast to x0 %s; give it that shape, or as {H, W, 1}",
      where, kind.shape_text(keep), kind.shape_text(x0))
  end
  return kept
end

-- One reverse step. Then the kept part is replaced by x0 noised to that level, independently.
local function reverse(run, kept, x0)
  local step = run()
  run.x = gradient.scope(function()
    local schedule, s = run.process.schedule, step.s
    local known = s == 0 and x0 or runs.add_noise(run, schedule:noise(s), schedule:signal(s), x0)
    return core.ops.where(kept, known, run.x)
  end)
  step.x = run.x
  return step
end

local rules = opts.declare("edit_repaint", given.rules(plan_rules, {
  x0 = given.tensor "the pictures {B, ...}",
  keep = given.tensor "1 where x0 stays, 0 where it is painted; x0's shape, or one that broadcasts to it",
  on_step = opts.joined(option.on_step, { text = "called with each step after it, with the merged x" }),
}))

--- Repaints the part that isn't kept, consistently with the kept part (Lugmayr et al. 2022,
--- algorithm 1). After each reverse step the kept part is x0 noised to the step's level with
--- independent noise, and after the last step x0 itself. Jumps back of `jump` steps by q(x_t | x_s)
--- repeat each stretch `resample` times. Every step then starts without the solver's history.
---@param options diffusion.edit_repaint_options
---@return diffusion.tensor x as x0, and x0 itself where it is kept
---@return diffusion.repaint_plan plan with evaluations
---@usage local model, process = d.load_model "digits"
--- local x0 = d.image.to_float(d.data.digits().x:narrow(1, 1, 4))
--- local keep = d.cat({ d.ones(4, 8, 1), d.zeros(4, 8, 1) }, 1)
--- local x, plan = d.edit.repaint{ model = model, process = process, x0 = x0, keep = keep, steps = 20, jump = 5,
---                                 resample = 4, seed = 1 }
--- print(plan.steps)
--- d.image.show(d.cat({ x0, x0 * keep - (1 - keep), x }, 1))
function repaint.repaint(options)
  local where = "edit.repaint"
  local o = families.check(where, options, rules)
  opts.denoiser(where, o.model)
  local x0 = samples.constant(where, "x0", o.x0)
  local kept = mask_of(where, o.keep, x0)
  local walk, moves = walk_of(where, o)
  local run = sampler.steps(given.sampling(o, { sampler = o.sampler, grid = walk.grid, shape = x0:shape(),
    seed = o.seed }))
  for _, move in ipairs(moves) do
    if move < 0 then run:back(-move)
    else
      local step = reverse(run, kept, x0)
      if o.on_step then o.on_step(step) end
    end
  end
  walk.evaluations = run.evaluations
  return run.x, walk
end

repaint.rules = plan_rules
return repaint
