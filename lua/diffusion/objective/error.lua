-- Measures of error: the mean over the dimensions of each sample.
local core = require "diffusion.core"
local choice = require "diffusion.objective.choice"

local ops = core.ops

local laws = {
  mse = { of = function(a, b) return ops.mse(a, b, "sample") end },
  l1 = { of = function(a, b) return ops.l1(a, b, "sample") end },
  huber = { rules = { delta = { "number", default = 1, above = 0 } },
    of = function(a, b, o) return ops.huber(a, b, "sample", { delta = o.delta }) end },
  -- Song & Dhariwal 2024, section 3.3, over sqrt(D): sqrt(|e|^2 + c^2 D) - c sqrt(D) with c = 0.00054
  pseudo_huber = { rules = { c = { "number", default = 0.00054, above = 0 } },
    of = function(a, b, o) return (ops.mse(a, b, "sample") + o.c ^ 2):sqrt() - o.c end },
}

--- An error by name.
---@param which string|table
---@return string name
---@return function measure (prediction, target) -> {B}
local function resolve(which)
  local name, law, o = choice("error", which, laws)
  return name, function(a, b) return law.of(a, b, o) end
end

return { resolve = resolve }
