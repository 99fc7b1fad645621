-- Compares the text encoders of transformers with ours on the same values and ids.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"

local M = {}

local NAMES = { "last", "raw", "normed", "pooled" } -- in the order of the peer's cotangents

local function outputs(model, case)
  local last, pooled = model(case.ids)
  return { last = last, pooled = pooled, raw = (model(case.ids, { skip = case.skip, norm = false })),
    normed = (model(case.ids, { skip = case.skip })) }
end

--- The differences of outputs and gradients, by what they are of.
---@param case table as cases.read returns it
---@return table<string, number>
function M.compare(case)
  local model, entry = cases.model(case, "cliptext")
  local got
  d.record(function()
    got = outputs(model, case)
    return cases.total(NAMES, got)
  end):backward()
  local sums, key = cases.gradient_ratio(case, model, entry)
  local off = { [key] = sums }
  for _, name in ipairs(NAMES) do off[name] = cases.ratio(got[name], case.get(name)) end
  return off
end

return M
