-- The samplers by name. Each file of this folder has one published family. It returns a table from
-- names to
--   make         function(denoise, process, opts) -> step, see init.lua
--   source       the paper, or the library it comes from
--   rules        of its options, for opts.check
--   order        of its error, at the options' defaults
--   evaluations  of the model per step, 1 if absent
--   stochastic   true if it adds noise of its own
--   signal       true if it can't start where x has no signal (a = 0)
--   upward       true if it goes from s to t, from data to noise
--   pair         true if the step uses only x0 and eps, so they may come from two model outputs (CFG++)
--   remembers    the fields of its history, each with a list of the fields that it needs (memory.lua)
--   whole        true if it chooses its own steps within a pair; the grid is then one pair by default
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local flow = require "diffusion.sampler.flow"
local peers = require "diffusion.sampler.peers"
local preset = require "diffusion.sampler.preset"

local families = {}

local files = {
  require "diffusion.sampler.ddpm",
  require "diffusion.sampler.ddim",
  require "diffusion.sampler.inversion",
  require "diffusion.sampler.euler",
  require "diffusion.sampler.heun",
  require "diffusion.sampler.dpm2",
  require "diffusion.sampler.lms",
  require "diffusion.sampler.plms",
  require "diffusion.sampler.dpm_solver",
  require "diffusion.sampler.dpm_solver_multistep",
  require "diffusion.sampler.singlestep",
  require "diffusion.sampler.dpmpp",
  require "diffusion.sampler.dpmpp_sde",
  require "diffusion.sampler.unipc",
  require "diffusion.sampler.sa_solver",
  require "diffusion.sampler.deis",
  require "diffusion.sampler.dpm_adaptive",
  require "diffusion.sampler.rk45",
  require "diffusion.sampler.langevin",
  require "diffusion.sampler.lcm",
  require "diffusion.sampler.tcd",
  require "diffusion.sampler.consistency",
  flow,
}

local solvers, names = {}, {}
for _, file in ipairs(files) do
  for name, solver in pairs(file) do
    solvers[name] = solver
    names[#names + 1] = name
  end
end
table.sort(names)
opts.declare_choices("sampler", solvers)
opts.declare_choices("sampler", peers)

--- The names of all samplers, sorted.
---@return string[]
function families.names() return table.move(names, 1, #names, 1, {}) end

-- The solver of a user's own function.
local function own(make)
  local function checked(...)
    local step = make(...)
    if type(step) ~= "function" then
      fail.raise("sampler: the function given as sampler must return its step, function(x, pair, history) -> x, got %s",
        kind.shown(step))
    end
    return step
  end
  return { make = checked, pair = true }
end

-- {name, option = ...} as name and options.
local function parts(which)
  if type(which) ~= "table" then return which, {} end
  local options = {}
  for k, v in pairs(which) do if k ~= 1 then options[k] = v end end
  return which[1], options
end

--- The solver that an option `sampler` names.
---@param which string|function|table a sampler's or a preset's name, a function, or {name or
--- function, option = ...}
---@return string name
---@return table solver as above
---@return table options
function families.resolve(which)
  local name, options = parts(which)
  if type(name) == "function" then return "function", own(name), options end
  local found = preset.find(name, options)
  local base = name
  if found then base, options = parts(found) end
  local solver = solvers[base] or peers[base]
  if not solver then fail.raise("sampler: %s", opts.unknown("sampler", name, names)) end
  return name, solver, opts.check(name, options, solver.rules or {})
end

return families
