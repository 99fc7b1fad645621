-- The samplers by name. Each file of this folder has one published family. It returns a table from
-- names to
--   make         function(denoise, process, opts) -> step, see init.lua
--   source       the paper, or the library it comes from
--   rules        the options, for opts.check
--   order        the order of its error, with the default options
--   evaluations  of the model per step, 1 if absent
--   stochastic   true if it adds noise of its own
--   signal       true if it can't start where x has no signal (a = 0)
--   upward       true if it goes from s to t, from data to noise
--   pair         true if the step uses only x0 and eps, so they may come from two model outputs (CFG++)
--   remembers    the fields of its history, each with a list of the fields that it needs (memory.lua)
--   whole        true if it chooses its own steps within a pair; the grid is then one pair by default
--   every        true if it takes all T levels by default, as published
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local alias = require "diffusion.sampler.alias"
local flow = require "diffusion.sampler.flow"
local peers = require "diffusion.sampler.peers"
local preset = require "diffusion.sampler.preset"
local renamed = require "diffusion.renamed"

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

--- The names of the samplers that take all T levels by default, as "a, b and c".
---@return string
function families.all_levels()
  local found = {}
  for _, name in ipairs(names) do
    if solvers[name].every then found[#found + 1] = name end
  end
  return table.concat(found, ", ", 1, #found - 1) .. " and " .. found[#found]
end

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

-- The sentence about an unknown sampler.
local function unknown(name)
  if type(name) ~= "string" then
    return ("a name of d.sampler.names(), a function or {name, option = ...} expected, got %s"):format(kind.shown(name))
  end
  local ours, grid = alias(name, names)
  if not ours then return opts.unknown("sampler", name, names) end
  local also = grid and (', with the option grid = "%s"'):format(grid)
    or name:find "eta$" and (', with an option: {"%s", eta = 1}'):format(ours) or ""
  return ("'%s' is called '%s' here%s"):format(legible.line(name), ours, also)
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
  if type(name) == "table" and name.make then return name.name, name, options end -- made of another one here
  local found = preset.find(name, options)
  local base = name
  if found then base, options = parts(found) end
  local solver = solvers[base] or peers[base]
  if not solver then fail.raise("sampler: %s", unknown(name)) end
  return name, solver, opts.check("sampler " .. name, options, solver.rules or {}, 0)
end

-- A sampler that has an option: the chosen one, or else the first by name. nil if none has it.
local function owner_of(key, which)
  local chosen = parts(which)
  local function has(name) return solvers[name] and solvers[name].rules and solvers[name].rules[key] and name end
  if has(chosen) or has "ddim" then return has(chosen) or "ddim" end
  for _, name in ipairs(names) do
    if has(name) then return name end
  end
end

-- The sentence about an option of a sampler, or of another library, nil for any other name.
local function misplaced(key, which)
  local ours = renamed.sampling[key]
  if ours then return ("option '%s' is called '%s' here"):format(key, ours) end
  local owner = owner_of(key, which)
  return owner and ("'%s' is an option of the sampler: sampler = {\"%s\", %s = ...}"):format(key, owner, key)
end

--- opts.check for options that include `sampler`.
---@param name string the function's name, as the user writes it
---@param given table|nil
---@param rules table<string, table>
---@param argument integer|nil
---@return table
function families.check(name, given, rules, argument)
  for key in pairs(type(given) == "table" and given or {}) do
    local sentence = rules[key] == nil and type(key) == "string" and misplaced(key, given.sampler)
    if sentence then fail.raise("bad argument #%d to '%s' (%s)", argument or 1, name, sentence) end
  end
  return opts.check(name, given, rules, argument)
end

return families
