-- The conditions that a model can be given: classes, and the named inputs of its network.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local classes = require "diffusion.classes"
local core = require "diffusion.core"

local conditions = {}

--- The rule of the option `inputs`.
conditions.rule = { "table", as = "table<string, diffusion.tensor>",
  text = "tensors by the names of the network's inputs, one row for each sample: {context = c}" }

local own_options = { class = true, x0 = true, x = true, t = true }

--- Makes the third argument of a denoiser: {class =, context =, ...}.
---@param where string the caller's name
---@param class any as users may give it
---@param inputs table|nil tensors {n, ...} by name
---@param n integer samples
---@return table
function conditions.of(where, class, inputs, n)
  local out = { class = classes.of(where, class, n) }
  for name, x in pairs(inputs or {}) do
    if type(name) ~= "string" or own_options[name] then
      fail.raise("%s: inputs are tensors by name, {context = c}; '%s' is no name of one", where, tostring(name))
    end
    if not core.is_tensor(x) then fail.raise("%s: input '%s' must be a tensor, got %s", where, name, kind.shown(x)) end
    if x:dim() == 0 or x:size(1) ~= n then
      fail.raise("%s: input '%s' is %s for %d samples", where, name, kind.shape_text(x), n)
    end
    out[name] = x
  end
  return out
end

--- A copy with other values for some names.
---@param given table
---@param changes table
---@return table
function conditions.with(given, changes)
  local out = {}
  for name, value in pairs(given) do out[name] = value end
  for name, value in pairs(changes) do out[name] = value end
  return out
end

return conditions
