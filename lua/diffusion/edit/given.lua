-- What every edit takes: data, and the options that go on to the sampler.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local families = require "diffusion.sampler.families"
local finite = require "diffusion.sampler.finite"

local given = {}

local common = {
  model = { "any", required = true, what = "a denoiser (xt, t, {class=})" },
  process = { "process", required = true }, seed = { "integer" },
  class = { "integer|table|tensor" }, guidance = { "number|function" }, self_condition = { "boolean", default = false },
  on_step = { "function" }, nan = finite.rule,
}

--- The rule of an option that is data.
given.tensor = { "any", required = true, what = "a tensor {B, ...}" }

--- Rules for opts.check: the common ones, and an edit's own.
---@param own table<string, table>
---@return table<string, table>
function given.rules(own)
  for name, rule in pairs(common) do own[name] = own[name] or rule end
  return own
end

--- Takes rows of finite reals, or a sentence.
---@param where string "edit.img2img"
---@param name string of the option
---@param x any
---@return diffusion.tensor x
function given.data(where, name, x)
  if not core.is_tensor(x) then
    fail.raise("%s: %s must be a tensor, got %s%s", where, name, kind.shown(x), opts.advice(x, "picture|tensor"))
  end
  if x:dtype() ~= core.real then
    fail.raise("%s: %s must be %s, got %s%s", where, name, core.real, x:dtype(), kind.float_advice(x))
  end
  if x:dim() < 2 or x:numel() == 0 then
    fail.raise("%s: %s must be {B, ...} with a sample or more, got %s", where, name, kind.shape_text(x))
  end
  if not x:isfinite():all() then fail.raise("%s: %s holds nan or infinity", where, name) end
  gradient.constant(where, name, x)
  return x
end

--- The solver of an edit that goes from noise to data.
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

--- Options of sampler.steps: what the edit has in common with it, and the rest.
---@param o table the edit's
---@param own table
---@return table
function given.sampling(o, own)
  for _, name in ipairs { "model", "process", "class", "guidance", "self_condition", "nan" } do
    if own[name] == nil then own[name] = o[name] end
  end
  return own
end

--- Root mean square of a difference, of each sample.
---@param a diffusion.tensor {B, ...}
---@param b diffusion.tensor
---@return number[]
function given.gaps(a, b)
  local B = a:size(1)
  return (a - b):reshape(B, a:numel() // B):square():mean(2):sqrt():totable()
end

return given
