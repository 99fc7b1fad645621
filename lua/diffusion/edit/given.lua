-- The options that all edits share, and those that are passed on to the sampler.
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local samples = require "diffusion.samples"
local families = require "diffusion.sampler.families"
local option = require "diffusion.sampler.option"

local given = {}

local common = { model = option.model, process = option.process, seed = option.seed, class = option.class,
  inputs = option.inputs, guidance = option.guidance,
  self_condition = option.self_condition, on_step = option.on_step, nan = option.nan }

--- The rule of an option that is data.
---@param text string
---@return table
function given.tensor(text)
  return { "any", required = true, what = "a tensor [B,...]", as = "diffusion.tensor", text = text }
end

--- The common rules and an edit's own.
---@param ... table<string, table>
---@return table<string, table>
function given.rules(...) return opts.joined(common, ...) end

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

--- Options for sampler.steps: those that an edit shares with it, and `own`.
---@param o table the edit's options
---@param own table
---@return table
function given.sampling(o, own)
  for _, name in ipairs { "model", "process", "class", "inputs", "guidance", "self_condition", "nan" } do
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
