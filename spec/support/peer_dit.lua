-- Compares a DiTTransformer2DModel of diffusers with ours on the same values and inputs.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"

local M = {}

--- Our t and classes of a case: both count from 1, and no class is 0.
function M.inputs(case)
  local t, class, none = {}, {}, case.config.num_embeds_ada_norm or 1000
  for i, shown in ipairs(case.t) do t[i] = shown + 1 end
  for i, label in ipairs(case.labels) do class[i] = label == none and 0 or label + 1 end
  return cases.input(case.x, 1), t, { class = class }
end

--- The differences of outputs and gradients, by what they are of.
---@param case table as cases.read returns it
---@return table<string, number>
function M.compare(case)
  local model, entry = cases.model(case, "dittransformer2d")
  local x, t, given = M.inputs(case)
  model:eval()
  local function total(v)
    local y = model(v, t, given)
    return cases.total({ "y" }, { y = y }), y
  end
  local dx, _, y = d.grad(total, x)
  d.record(total, x):backward()
  local off, key = cases.gradient_ratio(case, model, entry)
  return { y = cases.ratio(cases.theirs(y), case.get "y"), dx = cases.ratio(cases.theirs(dx), case.get "x.dx"),
    [key] = off }
end

return M
