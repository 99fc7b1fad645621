-- Lower orders at the end of a run, where the steps of a multistep solver are longest in lambda. The
-- code of Lu et al. 2022, "DPM-Solver++", lowers them in runs of fewer than 10 steps.
local order = {}

--- The option of solvers that use three values.
order.d2 = { "number", default = 2, text = "factor of the second difference; 1 is what some libraries have" }

--- The option of solvers with two forms of second order.
order.form = { one_of = { "midpoint", "heun" }, default = "midpoint", text = "formula of the second-order term" }

--- Adds two options to a solver's rules. In runs of fewer than lower_order_final steps, the last
--- step has order 1 and the one before it at most 2. With euler_at_final the last step of any run
--- has order 1.
---@param rules table<string, table>
---@param later boolean|nil true if files of runs may lack the two
---@return table<string, table> rules
function order.rules(rules, later)
  rules.lower_order_final = { "integer", default = 0, min = 0, later = later,
    text = "runs of fewer steps end with steps of order 2 and 1" }
  rules.euler_at_final = { "boolean", default = false, later = later, text = "the last step has order 1" }
  return rules
end

--- The highest order that a step may have.
---@param opts table the sampler's
---@param pair table
---@param most integer the solver's own
---@return integer
function order.at(opts, pair, most)
  local left = pair.n - pair.i + 1
  if opts.euler_at_final and left == 1 then return 1 end
  return pair.n < (opts.lower_order_final or 0) and math.min(most, left) or most
end

--- The values of earlier steps that a step may use, as many as its highest order.
---@param past table[] newest first
---@param opts table the sampler's
---@param pair table
---@param most integer the solver's own order
---@return table[] newest first
function order.newest(past, opts, pair, most)
  return table.move(past, 1, math.min(#past, order.at(opts, pair, most)), 1, {})
end

return order
