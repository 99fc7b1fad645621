-- Measures of error: the mean over the dimensions of each sample.
local core = require "diffusion.core"
local choice = require "diffusion.objective.choice"
local opts = require "diffusion.opts"

local ops = core.ops

local laws = {
  mse = { source = "mean square", of = function(a, b) return ops.mse(a, b, "sample") end },
  l1 = { source = "mean absolute value", of = function(a, b) return ops.l1(a, b, "sample") end },
  huber = { source = "square below delta, straight above", rules = {
    delta = { "number", default = 1, above = 0, text = "error from which on the loss is straight" } },
    of = function(a, b, o) return ops.huber(a, b, "sample", { delta = o.delta }) end },
  pseudo_huber = { source = "sqrt(mse + c^2) - c: Song & Dhariwal 2024, section 3.3, over sqrt(D)", rules = {
    c = { "number", default = 0.00054, above = 0, text = "c of the formula" } },
    of = function(a, b, o) return (ops.mse(a, b, "sample") + o.c ^ 2):sqrt() - o.c end },
}
opts.declare_choices("error", laws)

--- An error by name.
---@param which string|table
---@return string name
---@return function measure (prediction, target) -> {B}
local function resolve(which)
  local name, law, o = choice("error", which, laws)
  return name, function(a, b) return law.of(a, b, o) end
end

return { resolve = resolve }
