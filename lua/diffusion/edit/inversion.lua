-- Maps data to the noise from which ddim draws it, and reports how accurate the result is.
local fail = require "diffusion.fail"
local lookup = require "diffusion.lookup"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local sampler = require "diffusion.sampler"
local place = require "diffusion.sampler.place"
local samples = require "diffusion.samples"
local given = require "diffusion.edit.given"
local plan = require "diffusion.edit.plan"

local inversion = {}

local of_solver = require("diffusion.sampler.inversion").ddim_inversion.rules

--- The option `tolerance` of what inverts.
inversion.tolerance = opts.joined(of_solver.tolerance, { default = 1e-5 })

--- The report of an inversion. It prints as a line.
---@class diffusion.inversion
---@field grid diffusion.grid by which ddim returns to x0
---@field evaluations integer number of evaluations of the model, including those of `check`
---@field residual number|nil for exact steps: the largest last change, as a sample's root mean square
---@field tolerance number that the residual should reach
---@field error number|nil with check: the largest distance from x0, as a sample's root mean square
local Inversion = { __name = "diffusion.inversion" }
Inversion.__index = Inversion

function Inversion.__tostring(r)
  local lines = { ("inversion to t = %g in %d steps, %d evaluations"):format(r.grid[1][1], #r.grid, r.evaluations) }
  if r.residual then
    lines[#lines + 1] = ("residual %.2g, %s the tolerance of %.2g"):format(r.residual,
      r.residual <= r.tolerance and "within" or "NOT within", r.tolerance)
  end
  if r.error then lines[#lines + 1] = ("ddim comes back to x0 within %.2g"):format(r.error) end
  return table.concat(lines, "; ")
end
legible.speaks(Inversion)
lookup.strict("inversion", Inversion, { "grid", "evaluations", "residual", "tolerance", "error" })

--- The default last level of an inversion: T, or the last whole level with an SNR of 3.7e-5 or more.
--- Beyond it, float32 holds too few digits of x0 to recover it.
---@param process diffusion.process
---@return integer t
function inversion.start(process) return math.max(1, math.floor(place.last_signal(process.schedule))) end

local rules = opts.declare("edit_invert", given.rules(plan.steps, {
  x0 = given.tensor "the data {B, ...}",
  start = { "number", default_text = "T, or the last whole level at which x0 can be predicted",
    text = "level of the noise" },
  exact = opts.joined(of_solver.exact, { default = true }), iterations = of_solver.iterations,
  tolerance = inversion.tolerance,
  check = { "boolean", default = false, text = "also measures how far ddim comes back from x0" },
}))
rules.seed = nil

-- Samples back from xt. Returns the largest root mean square distance from x0, and the evaluations.
local function check_error(o, xt, grid)
  local run = sampler.steps(given.sampling(o, { sampler = "ddim", grid = grid, init = xt }))
  return math.max(table.unpack(given.gaps(run:finish(), o.x0))), run.evaluations
end

--- The noise x_t from which ddim draws x0: ddim's steps backwards, each solved to a tolerance (Song et
--- al. 2021, "Denoising diffusion implicit models", sec. 4.3). Guidance above 1, or a model that
--- changes fast with x, can keep the residual above the tolerance. The report says so.
--- With exact = false a step is explicit, and the error falls as 1/steps. Beyond SNR 3.7e-5 float32
--- holds too little of x0.
---@param options diffusion.edit_invert_options
---@return diffusion.tensor xt {B, ...}; d.sample{ init = xt, sampler = "ddim", grid = report.grid }
---  comes back
---@return diffusion.inversion report
---@usage local model, process = d.load_model "digits"
--- local x0 = d.image.to_float(d.data.digits().x:narrow(1, 1, 2))
--- local xt, report = d.edit.invert{ model = model, process = process, x0 = x0, steps = 20, check = true }
--- print(report, xt:std())
function inversion.invert(options)
  local where = "edit.invert"
  local o = opts.check(where, options, rules)
  opts.denoiser(where, o.model)
  samples.constant(where, "x0", o.x0)
  o.start = o.start or inversion.start(o.process)
  if o.start == 0 then fail.raise("edit.invert: start = 0 is x0 itself; a level in 1..T = %d expected", o.process.T) end
  local grid = plan.of(where, o, {}).grid
  local run = sampler.steps(given.sampling(o, { init = o.x0, grid = grid, on_step = o.on_step,
    sampler = { "ddim_inversion", exact = o.exact, tolerance = o.tolerance, iterations = o.iterations } }))
  local xt = run:finish()
  local report = { grid = grid, residual = run.history.residual, tolerance = o.tolerance,
    evaluations = run.evaluations }
  if o.check then
    local more
    report.error, more = check_error(o, xt, grid)
    report.evaluations = report.evaluations + more
  end
  return xt, setmetatable(report, Inversion)
end

return inversion
