--- d.sampler.explain describes each sampler.
local families = require "diffusion.sampler.families"
local legible = require "diffusion.legible"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

-- A rule as "order = 2 (1..3)".
local function option_text(name, rule)
  local default = rule.default
  if default == nil then default = "none" end
  local words = rule.one_of and table.concat(rule.one_of, " | ")
  local low, high = rule.min or rule.above, rule.max or rule.below
  local range = words or (low and high) and ("%g..%g"):format(low, high) or low and ("%s %g"):format(
    rule.min and "from" or "above", low)
  return ("%s = %s%s"):format(name, tostring(default), range and " (" .. range .. ")" or "")
end

local function options_text(rules)
  local list = {}
  for name, rule in pairs(rules or {}) do list[#list + 1] = option_text(name, rule) end
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "none"
end

local function noise_text(solver)
  return solver.stochastic and "yes" or solver.rules and solver.rules.eta and "eta" or "no"
end

local function row(name, solver)
  return ("%-22s %5s %11d  %-5s  %s"):format(name, solver.order or "-", solver.evaluations or 1, noise_text(solver),
    solver.source)
end

local function whole_table()
  local lines = { ("%-22s %5s %11s  %-5s  %s"):format("sampler", "order", "evaluations", "noise", "source") }
  for _, name in ipairs(families.names()) do
    local _, solver = families.resolve(name)
    lines[#lines + 1] = row(name, solver)
  end
  return table.concat(lines, "\n")
end

local function traits(solver)
  local list = { ("order %s"):format(solver.order or "not stated"),
                 ("%d evaluation%s a step"):format(solver.evaluations or 1, solver.evaluations and "s" or "") }
  if solver.stochastic then list[#list + 1] = "adds noise" end
  if solver.signal then list[#list + 1] = "can't start where x holds no signal" end
  if solver.upward then list[#list + 1] = "goes from data to noise" end
  if solver.whole then list[#list + 1] = "chooses its own steps within a pair of levels" end
  if solver.every then list[#list + 1] = "T steps by default" end
  return table.concat(list, "; ")
end

local function one(name)
  local _, solver, options = families.resolve(name)
  local lines = { ("%s: %s"):format(name, solver.source),
                  "  " .. traits(solver), "  options: " .. options_text(solver.rules) }
  local given = require("diffusion.sampler.preset").find(name)
  if given and given[1] ~= name then
    local list = {}
    for k in pairs(given) do if k ~= 1 then list[#list + 1] = ("%s = %s"):format(k, tostring(options[k])) end end
    table.sort(list)
    lines[#lines + 1] = ("  stands for %s%s"):format(given[1], #list > 0 and " with " .. table.concat(list, ", ") or "")
  end
  return table.concat(lines, "\n")
end

--- Describes a sampler: its source, its order, its evaluations of the model per step, and its
--- options. The order is that of its error with the default options. Without a name, it returns a
--- table of all samplers.
---@param name? string
---@return string
---@usage print(d.sampler.explain())
--- print(d.sampler.explain "unipc")
return function(name)
  if name == nil then return whole_table() end
  if type(name) ~= "string" then
    fail.raise("bad argument #1 to 'explain' (a sampler's name expected, got %s)", kind.shown(name))
  end
  return legible.told(one, name)
end
