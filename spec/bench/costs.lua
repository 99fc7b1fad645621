--- The cost of a step as the work grows: a table and a plot of the measured workloads named
-- cost.QUANTITY.NUMBER.
local settings = require "settings"

local costs = {}

local seen = {} -- quantity -> { {number, ours, peer} ... }, in the order of measuring
local order = {} -- quantities in order

--- Notes a measurement, if it is one of these.
function costs.note(name, ours, peer)
  local quantity, number = name:match "^cost%.(%a+)%.(%d+)"
  if not quantity then return end
  if not seen[quantity] then
    seen[quantity] = {}
    order[#order + 1] = quantity
  end
  table.insert(seen[quantity], { tonumber(number), ours, peer })
end

local function column(rows, i)
  local out = {}
  for k, row in ipairs(rows) do out[k] = row[i] end
  return out
end

local function show(quantity, rows)
  print(("\n%-12s %12s %12s"):format(quantity, "ours, ms", "peer, ms"))
  for _, row in ipairs(rows) do
    print(("%-12d %12.2f %12s"):format(row[1], row[2], row[3] and ("%.2f"):format(row[3]) or "-"))
  end
  local series = { { "ours", column(rows, 2), column(rows, 1) } }
  if rows[1][3] then series[2] = { "peer", column(rows, 3), column(rows, 1) } end
  local d = require "diffusion"
  local file = ("%s/cost_%s.png"):format(settings.folder, quantity)
  if d.plot.lines(series, { file = file, xlabel = quantity, ylabel = "ms", title = "cost against " .. quantity }) then
    print("drawn in " .. file)
  end
end

--- Prints and draws all that was noted.
function costs.report()
  for _, quantity in ipairs(order) do show(quantity, seen[quantity]) end
end

return costs
