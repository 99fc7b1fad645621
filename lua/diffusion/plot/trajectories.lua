-- Plots the trajectories of samples: against t on the line, or as curves in the plane.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local gnuplot = require "diffusion.plot.gnuplot"

local rules = opts.declare("plot_trajectories", gnuplot.rules {
  count = { "integer", default = 50, min = 1, text = "the first samples that are drawn" },
  data = { "tensor", text = "points {n,2} that are drawn behind curves in the plane" },
  xlabel = opts.joined(gnuplot.labels.xlabel, { default_text = '"t" or "step"; none in the plane' }),
  ylabel = opts.joined(gnuplot.labels.ylabel, { default_text = '"x"; none in the plane' }),
})

local function check_tensors(xs, name)
  for k, x in ipairs(xs) do
    if kind.of(x) ~= "tensor" then
      fail.raise("plot: '%s' must be a run or tensors {B,1} or {B,2}, but number %d is %s", name, k, kind.shown(x))
    end
    if kind.shape_text(x) ~= kind.shape_text(xs[1]) then
      fail.raise("plot: x %d of '%s' is %s but the first %s", k, name, kind.shape_text(x), kind.shape_text(xs[1]))
    end
  end
  local x = xs[1]
  if x:numel() == 0 or x:dim() > 2 or x:dim() == 2 and x:size(2) > 2 then
    fail.raise("plot: paths of '%s' are of tensors {B,1} or {B,2}, got %s; two of more coordinates are "
      .. "x:narrow(2, first, 2)", name, kind.shape_text(x))
  end
end

-- Raises unless a series has trajectories. Returns whether they lie in the plane, or go along t.
local function check_path(given, name)
  local is_run = kind.of(given) == "run"
  if is_run and given.i >= #given.grid then
    fail.raise("plot: the run of '%s' has taken all its steps; its paths are drawn as it takes them, so give a "
      .. "fresh one", name)
  end
  if not is_run and kind.of(given) ~= "table" then
    fail.raise("plot: '%s' must be a run or a list of tensors, one a step, got %s", name, kind.shown(given))
  end
  if not is_run and #given < 2 then fail.raise("plot: a path has two tensors or more, '%s' has %d", name, #given) end
  local xs = is_run and { given.x } or given
  check_tensors(xs, name)
  return { plane = xs[1]:dim() == 2 and xs[1]:size(2) == 2, timed = is_run }
end

-- Raises unless all series fit into one kind of picture, which is returned.
local function check_paths(series)
  local first
  for _, s in ipairs(series) do
    local axes = check_path(s[2], tostring(s[1]))
    first = first or axes
    if axes.plane ~= first.plane then fail.raise "plot: paths of {B,1} and of {B,2} don't fit into one picture" end
    if not axes.plane and axes.timed ~= first.timed then
      fail.raise "plot: runs go along t and lists of tensors along steps; take one kind for one picture"
    end
  end
  return first
end

-- The current x of a run and x after each step that is left, and their t. A list has no t.
local function recorded(given)
  if kind.of(given) ~= "run" then return given, nil end
  local xs, times = { given.x }, {}
  for step in given do
    local from, to = step.t, step.s
    if given.upward then from, to = to, from end
    times[1] = times[1] or from
    xs[#xs + 1], times[#times + 1] = step.x, to
  end
  return xs, times
end

-- A single run or list of tensors is one series without a name.
local function series_of(given)
  local first = type(given) == "table" and given[1]
  if kind.of(given) == "run" or core.is_tensor(first) then return { { "", given } } end
  gnuplot.check_series(given)
  return given
end

-- The trajectories of the first `count` samples, each a list of points: {t or step, x} on the line,
-- {x, y} in the plane.
local function curves_of(given, count)
  local xs, times = recorded(given)
  local curves, B = {}, xs[1]:size(1)
  local n = math.min(count, B)
  for i = 1, n do curves[i] = {} end
  for k, x in ipairs(xs) do
    local rows = x:narrow(1, 1, n):reshape(n, x:numel() // B):to(core.real):totable()
    for i, row in ipairs(rows) do curves[i][k] = row[2] and row or { times and times[k] or k - 1, row[1] } end
  end
  return curves
end

-- Their points as rows for gnuplot, with an empty row between two trajectories.
local function rows_of(curves)
  local rows = {}
  for _, curve in ipairs(curves) do
    table.move(curve, 1, #curve, #rows + 1, rows)
    rows[#rows + 1] = {}
  end
  return rows
end

local function starts_of(curves)
  local rows = {}
  for i, curve in ipairs(curves) do rows[i] = curve[1] end
  return rows
end

local function ends_of(curves)
  local rows = {}
  for i, curve in ipairs(curves) do rows[i] = curve[#curve] end
  return rows
end

local function is_finite(v) return v - v == 0 end

-- {least, greatest} of column c over all points, with a margin.
local function range_of(all, c)
  local low, high = math.huge, -math.huge
  for _, row in ipairs(all) do
    if row[c] and is_finite(row[c]) then low, high = math.min(low, row[c]), math.max(high, row[c]) end
  end
  if low > high then fail.raise "plot: no point of these paths is finite" end
  local margin = high > low and 0.04 * (high - low) or 1
  return { low - margin, high + margin }
end

-- In the plane both axes have one scale. Along t, later times are on the left.
local function set_ranges(lines, all, axes, o)
  local x, y, timed = range_of(all, 1), range_of(all, 2), axes.timed and not axes.plane
  if timed then x = { x[2], x[1] } end
  lines[#lines + 1] = gnuplot.range("x", x[1], x[2])
  lines[#lines + 1] = gnuplot.range("y", y[1], y[2])
  lines[#lines + 1] = axes.plane and "set size ratio -1\nset key below samplen 1" or "unset key"
  local xlabel, ylabel = o.xlabel or timed and "t" or "step", o.ylabel or "x"
  if o.xlabel or not axes.plane then lines[#lines + 1] = "set xlabel " .. gnuplot.quoted(xlabel) end
  if o.ylabel or not axes.plane then lines[#lines + 1] = "set ylabel " .. gnuplot.quoted(ylabel) end
end

-- A panel shows trajectories. In the plane it also shows the data behind them, their starts and ends.
local function panel(lines, i, curves, plane, has_data)
  gnuplot.block(lines, "p" .. i, rows_of(curves))
  local paths = ("$p%d with lines lw 1 lc rgb '#70507080' notitle"):format(i)
  if not plane then return "plot " .. paths end
  gnuplot.block(lines, "s" .. i, starts_of(curves))
  gnuplot.block(lines, "e" .. i, ends_of(curves))
  local behind = has_data and "$data with points pt 7 ps 0.25 lc rgb '#d0d0d0' notitle, "
    .. "NaN with points pt 7 ps 0.6 lc rgb '#c0c0c0' title 'data', " or ""
  return ("plot %s%s, $s%d with points pt 6 ps 0.6 lc rgb '#305060' title 'start', "
    .. "$e%d with points pt 7 ps 0.6 lc rgb '#c04020' title 'end'"):format(behind, paths, i, i)
end

local function take_data(data, plane)
  if not data then return {} end
  if not plane or data:dim() ~= 2 or data:size(2) ~= 2 then
    fail.raise("plot: data {n,2} is drawn behind paths in the plane, got %s behind paths %s", kind.shown(data),
      plane and "{B,2}" or "{B,1}")
  end
  return data:to(core.real):totable()
end

--- The trajectories of samples. Those of {B,1} are drawn against t, later times on the left, or against
--- the step for a list. Those of {B,2} are curves in the plane. A run is stepped to its end. x is shown
--- as it is, so it starts large if sigma does (ve, edm).
---@param series any a run, or a list of tensors, one a step; or { {name, run or list}, ... }, side by
---  side at one scale
---@param options diffusion.plot_trajectories_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
return function(series, options)
  local o = opts.check("trajectories", options, rules, 2)
  series = series_of(series)
  local axes = check_paths(series)
  local every, lines, panels = take_data(o.data, axes.plane), {}, {}
  gnuplot.block(lines, "data", every)
  for i, s in ipairs(series) do
    local curves = curves_of(s[2], o.count)
    for _, curve in ipairs(curves) do table.move(curve, 1, #curve, #every + 1, every) end
    panels[i] = panel(lines, i, curves, axes.plane, o.data ~= nil)
  end
  set_ranges(lines, every, axes, o)
  gnuplot.side_by_side(lines, series, panels, o)
  return gnuplot.run(lines, o)
end
