-- The paths of samples: along t on a line, as curves in the plane.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local gnuplot = require "diffusion.plot.gnuplot"

local rules = gnuplot.rules {
  count = { "integer", default = 50, min = 1 },
  data = { "tensor" },
  xlabel = { "string" },
  ylabel = { "string" },
}

-- The run's x where it stands and after each step that is left, and their t.
local function recorded(run)
  local xs, times = { run.x }, {}
  for step in run do
    local from, to = step.t, step.s
    if run.solver.upward then from, to = to, from end
    times[1] = times[1] or from
    xs[#xs + 1], times[#times + 1] = step.x, to
  end
  if #xs == 1 then
    opts.fail "plot: this run has taken all its steps; its paths are drawn as it takes them, so give a fresh one"
  end
  return { xs = xs, times = times }
end

local function check_tensors(xs, name)
  for k, x in ipairs(xs) do
    if opts.kind(x) ~= "tensor" then
      opts.fail("plot: '%s' must be a run or tensors {B,1} or {B,2}, but number %d is %s", name, k, opts.shown(x))
    end
    if opts.shape_text(x) ~= opts.shape_text(xs[1]) then
      opts.fail("plot: x %d of '%s' is %s but the first %s", k, name, opts.shape_text(x), opts.shape_text(xs[1]))
    end
  end
  local x = xs[1]
  if x:numel() == 0 or x:dim() > 2 or x:dim() == 2 and x:size(2) > 2 then
    opts.fail("plot: paths of '%s' are of tensors {B,1} or {B,2}, got %s; two of more coordinates are "
      .. "x:narrow(2, first, 2)", name, opts.shape_text(x))
  end
end

local function path_of(given, name)
  if opts.kind(given) == "run" then
    check_tensors({ given.x }, name)
    return recorded(given)
  end
  if opts.kind(given) ~= "table" then
    opts.fail("plot: '%s' must be a run or a list of tensors, one a step, got %s", name, opts.shown(given))
  end
  if #given < 2 then opts.fail("plot: a path has two tensors or more, '%s' has %d", name, #given) end
  check_tensors(given, name)
  return { xs = given }
end

-- A run or a list of tensors alone is a series without a name.
local function series_of(given)
  local first = type(given) == "table" and given[1]
  if opts.kind(given) == "run" or core.is_tensor(first) then return { { "", given } } end
  gnuplot.check_series(given)
  return given
end

-- The paths of the first `count` samples, each a list of points {x, y}, broken where a number
-- isn't finite: {t or step, x} on a line, {x, y} in the plane.
local function curves_of(path, count)
  local curves, n = {}, math.min(count, path.xs[1]:size(1))
  for i = 1, n do curves[i] = {} end
  for k, x in ipairs(path.xs) do
    local rows = x:narrow(1, 1, n):reshape(n, x:numel() // x:size(1)):to(core.real):totable()
    for i, row in ipairs(rows) do
      curves[i][k] = row[2] and row or { path.times and path.times[k] or k - 1, row[1] }
    end
  end
  return curves
end

-- Their points as rows for gnuplot, an empty one between two paths.
local function rows_of(curves)
  local rows = {}
  for _, curve in ipairs(curves) do
    table.move(curve, 1, #curve, #rows + 1, rows)
    rows[#rows + 1] = {}
  end
  return rows
end

-- The points number k of all paths; -1 is the last.
local function points_at(curves, k)
  local rows = {}
  for i, curve in ipairs(curves) do rows[i] = curve[k > 0 and k or #curve + 1 + k] end
  return rows
end

local function is_finite(v) return v - v == 0 end

-- {least, greatest} of column c over all points, with a margin.
local function range_of(all, c)
  local low, high = math.huge, -math.huge
  for _, row in ipairs(all) do
    if row[c] and is_finite(row[c]) then low, high = math.min(low, row[c]), math.max(high, row[c]) end
  end
  if low > high then opts.fail "plot: no point of these paths is finite" end
  local margin = c == 1 and high > low and 0.02 * (high - low) or high > low and 0.05 * (high - low) or 1
  return { low - margin, high + margin }
end

-- In the plane both axes have one scale and one range.
local function set_ranges(lines, all, plane, o, timed)
  local x, y = range_of(all, 1), range_of(all, 2)
  if timed then x = { x[2], x[1] } end
  lines[#lines + 1] = ("set xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]"):format(x[1], x[2], y[1], y[2])
  lines[#lines + 1] = plane and "set size ratio -1\nset key below samplen 1" or "unset key"
  local xlabel = o.xlabel or not plane and (timed and "t" or "step")
  local ylabel = o.ylabel or not plane and "x"
  if xlabel then lines[#lines + 1] = "set xlabel " .. gnuplot.quoted(xlabel) end
  if ylabel then lines[#lines + 1] = "set ylabel " .. gnuplot.quoted(ylabel) end
end

-- What a panel shows: paths; in the plane the data behind them, and where they start and end.
local function panel(lines, i, curves, plane, has_data)
  gnuplot.block(lines, "p" .. i, rows_of(curves))
  local paths = ("$p%d with lines lw 1 lc rgb '#70507080' notitle"):format(i)
  if not plane then return "plot " .. paths end
  gnuplot.block(lines, "s" .. i, points_at(curves, 1))
  gnuplot.block(lines, "e" .. i, points_at(curves, -1))
  local behind = has_data and "$data with points pt 7 ps 0.25 lc rgb '#d0d0d0' notitle, "
    .. "NaN with points pt 7 ps 0.6 lc rgb '#c0c0c0' title 'data', " or ""
  return ("plot %s%s, $s%d with points pt 6 ps 0.6 lc rgb '#305060' title 'start', "
    .. "$e%d with points pt 7 ps 0.6 lc rgb '#c04020' title 'end'"):format(behind, paths, i, i)
end

local function take_data(data, plane)
  if not data then return {} end
  if not plane or data:dim() ~= 2 or data:size(2) ~= 2 then
    opts.fail("plot: data {n,2} is drawn behind paths in the plane, got %s behind paths %s", opts.shown(data),
      plane and "{B,2}" or "{B,1}")
  end
  return data:to(core.real):totable()
end

-- The paths of each series, and whether they lie in the plane, as all or none of them do.
local function take_series(series, count)
  local all, plane, timed = {}, nil, nil
  for i, s in ipairs(series) do
    local path = path_of(s[2], tostring(s[1]))
    local x = path.xs[1]
    local flat = x:dim() == 2 and x:size(2) == 2
    if plane == nil then plane, timed = flat, path.times ~= nil end
    if flat ~= plane then opts.fail "plot: paths of {B,1} and of {B,2} don't fit into one picture" end
    if not plane and timed ~= (path.times ~= nil) then
      opts.fail "plot: runs go along t and lists of tensors along steps; take one kind for one picture"
    end
    all[i] = curves_of(path, count)
  end
  return all, plane, timed
end

--- The paths of samples, x as it is: along t for {B,1} (along steps where a list is given), as curves
--- in the plane for {B,2}. A run is stepped to its end.
---@param series any a run, or a list of tensors, one a step; or { {name, run or list}, ... }, side by
---  side at one scale
---@param options table? {count = 50 (the first samples), data = {n,2}, drawn behind curves in the
---  plane, file = "x.png" or "x.svg", title, width, height, xlabel, ylabel}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
---@usage local process, moons = d.process{ schedule = d.schedule.cosine{} }, d.oracle.moons{}
--- local run = d.sampler.steps{ model = moons:denoiser(process), process = process, shape = { 20, 2 }, steps = 5 }
--- d.plot.trajectories(run, { data = moons:sample(200), file = "paths.png" })
return function(series, options)
  local o = opts.check("trajectories", options, rules, 2)
  series = series_of(series)
  local all, plane, timed = take_series(series, o.count)
  local data, lines, every = take_data(o.data, plane), {}, {}
  gnuplot.block(lines, "data", data)
  table.move(data, 1, #data, 1, every)
  for _, curves in ipairs(all) do
    for _, curve in ipairs(curves) do table.move(curve, 1, #curve, #every + 1, every) end
  end
  set_ranges(lines, every, plane, o, not plane and timed)
  local panels = {}
  for i, curves in ipairs(all) do panels[i] = panel(lines, i, curves, plane, o.data ~= nil) end
  gnuplot.side_by_side(lines, series, panels, o)
  return gnuplot.run(lines, o)
end
