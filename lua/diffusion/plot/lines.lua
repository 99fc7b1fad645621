-- Plots of curves, and of a quantity of schedules.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local gnuplot = require "diffusion.plot.gnuplot"

local plot = {}

local line_rules = opts.declare("plot_lines", gnuplot.rules(opts.joined(gnuplot.labels, {
  logy = { "boolean", default = false, text = "the vertical axis is logarithmic" } })))

-- A list of numbers from a list or a tensor of one dimension.
local function numbers(v, i)
  if core.is_tensor(v) and v:dim() == 1 then return v:to(core.real):totable() end
  local fine = type(v) == "table"
  for k = 1, fine and #v or 0 do fine = fine and type(v[k]) == "number" end
  if not fine then
    fail.raise("plot: series %d must be {name, numbers} or {name, y, x}, lists or tensors [n], got %s", i,
      kind.shown(v))
  end
  return v
end

-- {x, y} for each point of a series. Without x, the points are numbered.
local function points_of(s, i)
  local y, rows = numbers(s[2], i), {}
  local x = s[3] ~= nil and numbers(s[3], i)
  if x and #x ~= #y then fail.raise("plot: series %d has %d y but %d x", i, #y, #x) end
  if #y == 0 then fail.raise("plot: series %d has no numbers", i) end
  for k = 1, #y do rows[k] = { x and x[k] or k, y[k] } end
  return rows
end

-- Whether any of these points can be drawn on the axes.
local function has_place(points, logy)
  for _, p in ipairs(points) do
    if p[1] - p[1] == 0 and p[2] - p[2] == 0 and not (logy and p[2] <= 0) then return true end
  end
  return false
end

local LEGEND <const> = 4 -- a longer legend goes below the axes, since it would cover lines

local function drawn_lines(series, o)
  local lines, curves, drawn = { "set grid lc rgb '#dddddd'" }, {}, false
  for i, s in ipairs(series) do
    local points = points_of(s, i)
    gnuplot.block(lines, "d" .. i, points)
    drawn = drawn or has_place(points, o.logy)
    curves[i] = ("$d%d with lines lw 2 title %s"):format(i, gnuplot.entry(s[1]))
  end
  if not drawn then fail.raise("plot: no point of these series is finite%s", o.logy and " and above 0" or "") end
  if o.xlabel then lines[#lines + 1] = "set xlabel " .. gnuplot.quoted(o.xlabel) end
  if o.ylabel then lines[#lines + 1] = "set ylabel " .. gnuplot.quoted(o.ylabel) end
  if o.logy then lines[#lines + 1] = "set logscale y" end
  if #series > LEGEND then lines[#lines + 1] = "set key below" end
  lines[#lines + 1] = "plot " .. table.concat(curves, ", ")
  return gnuplot.run(lines, o)
end

--- Curves y(x), one per series.
---@param series table { {name, y} or {name, y, x}, ... }: lists or tensors of one dimension, x and y of
---  one length; without x it is 1, 2, ...
---@param options diffusion.plot_lines_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function plot.lines(series, options)
  local o = opts.check("lines", options, line_rules, 2)
  gnuplot.check_series(series)
  return drawn_lines(series, o)
end

local of_schedule = { "alpha_bar", "beta", "log_snr", "snr", "signal", "noise", "sigma" }

--- The options of plot.schedules.
plot.schedule_rules = opts.declare("plot_schedules", opts.joined(line_rules, {
  what = { one_of = of_schedule, default = "log_snr", text = "the quantity" },
  xlabel = opts.joined(line_rules.xlabel, { otherwise = "u = t/T" }),
  ylabel = opts.joined(line_rules.ylabel, { default_text = "what" }),
}))

-- The quantity of a schedule where it is finite, and u = t/T there.
local function curve_of(s, what)
  local y, u = {}, {}
  for t = 1, s.T do
    local v = fail.call(s[what], s, t)
    if v - v == 0 then y[#y + 1], u[#u + 1] = v, t / s.T end
  end
  return { s.name, y, u }
end

--- A quantity of several schedules against u = t/T.
---@param schedules table list of schedules
---@param options diffusion.plot_schedules_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function plot.schedules(schedules, options)
  local o = opts.check("schedules", options, plot.schedule_rules, 2)
  o.xlabel, o.ylabel = o.xlabel or plot.schedule_rules.xlabel.otherwise, o.ylabel or o.what
  local series = {}
  for i, s in ipairs(opts.table("schedules", 1, "a list of schedules", schedules)) do
    if kind.of(s) ~= "schedule" then fail.raise("plot: entry %d is %s, not a schedule", i, kind.shown(s)) end
    series[i] = curve_of(s, o.what)
  end
  gnuplot.check_series(series)
  return drawn_lines(series, o)
end

return plot
