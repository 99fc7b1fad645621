--- The samplers by name: what each file of this folder gives, one published family a file.
-- Such a file returns a table from names to
--   make         function(denoise, process, opts) -> step, see init.lua
--   source       the paper, or whose it is
--   rules        of the options that may stand beside its name, for opts.check
--   order        at which its error falls, at the options' defaults
--   evaluations  of the model at a step, 1 if absent
--   stochastic   it adds noise of its own
--   signal       it can't start where x holds no signal (a = 0)
--   upward       it walks from s to t: from the data to noise
--   pair         it goes on from x0 and eps alone, so these may be of two answers
--   remembers    the fields of its history, each with a list of those that it is never without (memory.lua)
--   whole        it chooses its own steps within a pair: one pair by default
--   every        it takes all T levels by default, as published; the others take 50 steps
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local alias = require "diffusion.sampler.alias"
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
  (require "diffusion.sampler.flow"), -- whose second result would be one more
}

local solvers, names = {}, {}
for _, file in ipairs(files) do
  for name, solver in pairs(file) do
    solvers[name] = solver
    names[#names + 1] = name
  end
end
table.sort(names)

--- The names of all samplers, sorted.
---@return string[]
function families.names() return table.move(names, 1, #names, 1, {}) end

-- What is known of a user's own function.
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

-- What is said of a name that no sampler has.
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
---@param which string|function|table a name of ours or of a preset, a function, or {name or
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
  if not solver then fail.raise("sampler: %s", unknown(name)) end
  return name, solver, opts.check("sampler " .. name, options, solver.rules or {}, 0)
end

-- A sampler that has an option: the chosen one, else the first by name; nil: none has it.
local function owner_of(key, which)
  local chosen = parts(which)
  local function has(name) return solvers[name] and solvers[name].rules and solvers[name].rules[key] and name end
  if has(chosen) or has "ddim" then return has(chosen) or "ddim" end
  for _, name in ipairs(names) do
    if has(name) then return name end
  end
end

-- What is said of an option that a sampler has, or that is called otherwise here; nil: of the others nothing.
local function misplaced(key, which)
  local ours = renamed.sampling[key]
  if ours then return ("option '%s' is called '%s' here"):format(key, ours) end
  local owner = owner_of(key, which)
  return owner and ("'%s' is an option of the sampler: sampler = {\"%s\", %s = ...}"):format(key, owner, key)
end

--- opts.check of options with a `sampler` among them.
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
