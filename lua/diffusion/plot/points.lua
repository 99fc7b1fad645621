-- Point clouds in the plane.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local gnuplot = require "diffusion.plot.gnuplot"

local rules = opts.declare("plot_points", gnuplot.rules())

local function rows_of(x)
  if not core.is_tensor(x) then
    fail.raise("plot: a series is {name, tensor {n,2}}, got %s for the tensor", kind.of(x))
  end
  if x:dim() ~= 2 or x:size(2) ~= 2 then
    fail.raise("plot: points are {n,2}, got %s", kind.shape_text(x))
  end
  return x:to(core.real):totable()
end

-- A range extended to the finite numbers of these rows.
local function widened(low, high, rows)
  for _, row in ipairs(rows) do
    for _, v in ipairs(row) do
      if v - v == 0 then low, high = math.min(low, v), math.max(high, v) end
    end
  end
  return low, high
end

--- Point clouds in the plane, in panels of one scale.
---@param series table { {name, x}, ... } with x {n, 2}
---@param options diffusion.plot_points_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
return function(series, options)
  local o = opts.check("points", options, rules, 2)
  if kind.of(series) ~= "table" then
    fail.raise("plot: a list of series expected, got %s", kind.of(series))
  end
  if #series == 0 then fail.raise "plot: no series to draw" end
  local lines, low, high = {}, math.huge, -math.huge
  for i, s in ipairs(series) do
    if type(s) ~= "table" then
      fail.raise("plot: series %d must be {name, tensor {n,2}}, got %s", i, kind.of(s))
    end
    local rows = rows_of(s[2])
    gnuplot.block(lines, "d" .. i, rows)
    low, high = widened(low, high, rows)
  end
  if low > high then fail.raise "plot: no point of these series is finite" end
  local margin = high > low and 0.05 * (high - low) or 1
  lines[#lines + 1] = "unset key\nset size ratio -1"
  for _, axis in ipairs { "x", "y" } do lines[#lines + 1] = gnuplot.range(axis, low - margin, high + margin) end
  local panels = {}
  for i = 1, #series do
    panels[i] = ("plot $d%d with points pt 7 ps 0.3 lc rgb '#%s'"):format(i, i == 1 and "30507080" or "c04020")
  end
  gnuplot.side_by_side(lines, series, panels, o)
  return gnuplot.run(lines, o)
end
