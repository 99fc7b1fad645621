-- The options that all edits have, and those that go on to the sampler.
local classes = require "diffusion.classes"
local fail = require "diffusion.fail"
local samples = require "diffusion.samples"
local families = require "diffusion.sampler.families"
local finite = require "diffusion.sampler.finite"

local given = {}

local common = {
  model = { "any", required = true }, process = { "process", required = true }, seed = { "integer" },
  class = classes.rule, guidance = { "number|function" }, self_condition = { "boolean", default = false },
  on_step = { "function" }, nan = finite.rule,
}

--- Adds the common rules to an edit's own.
---@param own table<string, table>
---@return table<string, table>
function given.rules(own)
  for name, rule in pairs(common) do own[name] = own[name] or rule end
  return own
end

--- The solver of an edit. It must go from noise to data.
---@param where string
---@param which any option `sampler`
---@return table solver
---@return string name
function given.downward(where, which)
  local name, solver = families.resolve(which)
  if solver.upward then
    fail.raise("%s: %s goes from data to noise; take a sampler that comes back, as ddim or unipc", where, name)
  end
  return solver, name
end

--- Options of sampler.steps: `own`, and those of the edit that both have.
---@param o table the edit's
---@param own table
---@return table
function given.sampling(o, own)
  for _, name in ipairs { "model", "process", "class", "guidance", "self_condition", "nan" } do
    if own[name] == nil then own[name] = o[name] end
  end
  return own
end

--- The root mean square of a - b for each sample.
---@param a diffusion.tensor {B, ...}
---@param b diffusion.tensor
---@return number[]
function given.gaps(a, b)
  return samples.rows(a - b):square():mean(2):sqrt():totable()
end

return given
