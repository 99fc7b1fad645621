-- Plots the error of samplers against their cost, on logarithmic axes.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local gnuplot = require "diffusion.plot.gnuplot"

local rules = opts.declare("plot_order", gnuplot.rules {
  x = { one_of = { "evaluations", "steps" }, default = "evaluations", text = "quantity of the horizontal axis" },
  guides = { "table", default = { 1, 2, 3 }, as = "number[]", text = "orders of the dashed lines" },
  xlabel = opts.joined(gnuplot.labels.xlabel, { default_text = "by x" }),
  ylabel = opts.joined(gnuplot.labels.ylabel, { default = "error" }),
})

local columns = { steps = 1, evaluations = 4 }

-- Neighbours differ in hue, lightness and shape.
local colours = { "0072b2", "d55e00", "009e73", "cc79a7", "000000", "e69f00", "56b4e9", "7a3db8", "8c510a", "808000" }
local shapes = { 7, 5, 9, 11, 13, 6, 4, 8, 10, 12 }

-- Raises unless a number can be drawn on a logarithmic axis.
local function positive(v, what, k, name)
  local fine = type(v) == "number" and v > 0 and v < math.huge
  if fine then return v end
  fail.raise("plot: %s of row %d of '%s' is %s; log axes show finite numbers above 0%s", what, k, name, kind.shown(v),
    v == nil and what == "evaluations" and ", and x = \"steps\" needs none" or "")
end

-- {x, error} for each row.
local function points_of(rows, name, x)
  if kind.of(rows) ~= "table" or #rows == 0 then
    fail.raise("plot: '%s' must have rows {steps, error, order, evaluations} as of d.check.order, got %s", name,
      kind.of(rows) == "table" and "none" or kind.shown(rows))
  end
  local out = {}
  for k, row in ipairs(rows) do
    if type(row) ~= "table" then
      fail.raise("plot: row %d of '%s' is %s, not {steps, error, order, evaluations}", k, name, kind.shown(row))
    end
    out[k] = { positive(row[columns[x]], x, k, name), positive(row[2], "error", k, name) }
  end
  return out
end

-- A list of rows is one series without a name.
local function series_of(given)
  local first = type(given) == "table" and given[1]
  if type(first) == "table" and type(first[1]) == "number" then return { { "error", given } } end
  gnuplot.check_series(given)
  return given
end

-- {least x, greatest x, least error, greatest error}
local function box_of(all)
  local box = { math.huge, 0, math.huge, 0 }
  for _, points in ipairs(all) do
    for _, p in ipairs(points) do
      box[1], box[2] = math.min(box[1], p[1]), math.max(box[2], p[1])
      box[3], box[4] = math.min(box[3], p[2]), math.max(box[4], p[2])
    end
  end
  return { box[1] / 1.15, box[2] * 1.15, box[3] / 1.6, box[4] * 1.6 }
end

-- Labels at 1, 2 and 5 times each power of ten, or at 1 to 9 times if the range is narrow.
local function tics(low, high)
  local list, digits = {}, high < 10 * low and { 1, 2, 3, 4, 5, 6, 7, 8, 9 } or { 1, 2, 5 }
  for e = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)) do
    for _, m in ipairs(digits) do
      local v = m * 10.0 ^ e
      if v >= low and v <= high then list[#list + 1] = gnuplot.format("'%g' %g", v, v) end
    end
  end
  return "set xtics (" .. table.concat(list, ", ") .. ")"
end

-- A line of slope -p from the upper left corner to the right or the lower edge. Its name stands just
-- before its end.
local function guide(lines, curves, p, box)
  if type(p) ~= "number" or not (p > 0 and p < math.huge) then
    fail.raise("plot: guides are orders above 0, got %s", kind.shown(p))
  end
  local way = math.min(math.log(box[2] / box[1]), math.log(box[4] / box[3]) / p)
  local function at(part) return { box[1] * math.exp(part * way), box[4] * math.exp(-p * part * way) } end
  local name, label = "g" .. #curves + 1, at(0.94)
  gnuplot.block(lines, name, { at(0), at(0.9) })
  curves[#curves + 1] = ("$%s with lines lc rgb '#999999' dt 2 lw 1 notitle"):format(name)
  lines[#lines + 1] = gnuplot.format("set label 'order %g' at %.9g,%.9g center tc rgb '#777777' font ',9'", p,
    label[1], label[2])
end

--- Errors of samplers against evaluations of the model, or steps, on logarithmic axes. Dashed lines
--- show the slopes of the orders in guides.
---@param series table rows {steps, error, order, evaluations} as d.check.order returns them, or
---  { {name, rows}, ... }; errors and numbers of evaluations are above 0
---@param options diffusion.plot_order_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
return function(series, options)
  local o = opts.check("order", options, rules, 2)
  series = series_of(series)
  local all, curves = {}, {}
  local lines = { "set grid xtics ytics lt 1 lc rgb '#e4e4e4'", "set logscale xy",
    "set key outside right top Left reverse" }
  for i, s in ipairs(series) do all[i] = points_of(s[2], tostring(s[1]), o.x) end
  local box = box_of(all)
  for _, p in ipairs(o.guides) do guide(lines, curves, p, box) end
  for i, points in ipairs(all) do
    gnuplot.block(lines, "d" .. i, points)
    local k = (i - 1) % #colours + 1
    curves[#curves + 1] = ("$d%d with linespoints lw 2 pt %d ps 0.9 lc rgb '#%s' title %s"):format(i, shapes[k],
      colours[k], gnuplot.entry(series[i][1]))
  end
  lines[#lines + 1] = tics(box[1], box[2])
  lines[#lines + 1] = gnuplot.range("x", box[1], box[2])
  lines[#lines + 1] = gnuplot.range("y", box[3], box[4])
  lines[#lines + 1] = "set format y '%.0e'\nset xlabel " .. gnuplot.quoted(o.xlabel
    or (o.x == "steps" and "steps" or "evaluations of the model"))
  lines[#lines + 1] = "set ylabel " .. gnuplot.quoted(o.ylabel)
  lines[#lines + 1] = "plot " .. table.concat(curves, ", ")
  return gnuplot.run(lines, o)
end
