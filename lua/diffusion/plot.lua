--- Plots by gnuplot, an optional program found at run time: a PNG or SVG file, a window
-- where there is a display, or its text terminal.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

local plot = {}

local rules = {
  file = { "string" },
  title = { "string" },
  width = { "integer", default = 800, min = 100, max = 10000 },
  height = { "integer", default = 600, min = 100, max = 10000 },
}

local missing = "plot: the program gnuplot isn't there; install it (Debian: apt install gnuplot-nox)"

local function has_gnuplot()
  local f <close> = io.popen("command -v gnuplot 2>/dev/null")
  return f and f:read "l" ~= nil
end

-- In single quotes gnuplot takes everything literally but the quote itself.
local function quoted(text) return "'" .. tostring(text):gsub("'", "''") .. "'" end

local function terminal(o)
  local suffix = o.file and o.file:lower():match "%.(%w+)$"
  local size = ("size %d,%d"):format(o.width, o.height)
  if not o.file then
    if os.getenv "DISPLAY" or os.getenv "WAYLAND_DISPLAY" then return "set term qt persist" end
    return "set term dumb 79,24"
  end
  if suffix == "png" then return "set term pngcairo " .. size .. " font 'sans,11'" end
  if suffix == "svg" then return "set term svg " .. size end
  opts.fail("plot: file '%s' should end in .png or .svg", o.file)
end

-- A list of numbers from a list or a tensor of one dimension.
local function numbers(v, i)
  if core.is_tensor(v) and v:dim() == 1 then return v:to(core.real):totable() end
  local fine = type(v) == "table"
  for _, y in ipairs(fine and v or {}) do fine = fine and type(y) == "number" end
  if not fine then
    opts.fail("plot: series %d must be {name, numbers} or {name, y, x}, lists or tensors [n], got %s", i, opts.shown(v))
  end
  return v
end

local function check_series(series)
  if type(series) ~= "table" then opts.fail("plot: a list of series expected, got %s", opts.shown(series)) end
  if #series == 0 then opts.fail "plot: no series to draw" end
  for i, s in ipairs(series) do
    if type(s) ~= "table" then opts.fail("plot: series %d is %s, not {name, ...}", i, opts.shown(s)) end
  end
end

local function block(out, name, rows)
  out[#out + 1] = ("$%s << EOD"):format(name)
  for _, row in ipairs(rows) do
    for i, v in ipairs(row) do row[i] = ("%.9g"):format(v) end
    out[#out + 1] = table.concat(row, " ")
  end
  out[#out + 1] = "EOD"
end

-- Runs the script; the file appears whole or not at all.
local function run(lines, o)
  if not has_gnuplot() then
    io.stderr:write(missing, "\n")
    return nil, missing
  end
  local aside, window = o.file and o.file .. ".part", terminal(o)
  local opened, why = true, nil
  if aside then opened, why = io.open(aside, "w") end
  if not opened then return nil, ("plot: %s"):format(why) end
  if aside then opened:close() end
  local head = { window, "set termoption noenhanced", aside and "set output " .. quoted(aside) or "" }
  if o.title then head[#head + 1] = "set title " .. quoted(o.title) end
  local script = table.concat(head, "\n") .. "\n" .. table.concat(lines, "\n") .. "\n"
  local quiet = window:find "^set term dumb" and "2>/dev/null" or ">/dev/null 2>&1"
  local pipe = assert(io.popen("gnuplot " .. quiet, "w"))
  pipe:write(script, "unset output\n")
  local ok = pipe:close()
  if ok and aside then ok = os.rename(aside, o.file) end
  if not ok and aside then os.remove(aside) end
  if not ok then return nil, ("plot: gnuplot failed to draw %s"):format(o.file or "the plot") end
  return true
end

local function rows_of(x)
  if not core.is_tensor(x) then
    opts.fail("plot: a series is {name, tensor {n,2}}, got %s for the tensor", opts.kind(x))
  end
  if x:dim() ~= 2 or x:size(2) ~= 2 then
    opts.fail("plot: points are {n,2}, got %s", opts.shape_text(x))
  end
  return x:to(core.real):totable()
end

--- Point clouds in the plane, side by side at one scale.
---@param series table { {name, x}, ... } with x {n, 2}
---@param options table? {file = "x.png" or "x.svg", title, width, height}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
function plot.points(series, options)
  local o = opts.check("points", options, rules, 2)
  if opts.kind(series) ~= "table" then
    opts.fail("plot: a list of series expected, got %s", opts.kind(series))
  end
  if #series == 0 then opts.fail "plot: no series to draw" end
  local lines, low, high = {}, math.huge, -math.huge
  for i, s in ipairs(series) do
    if type(s) ~= "table" then
      opts.fail("plot: series %d must be {name, tensor {n,2}}, got %s", i, opts.kind(s))
    end
    block(lines, "d" .. i, rows_of(s[2]))
    low, high = math.min(low, s[2]:min():item()), math.max(high, s[2]:max():item())
  end
  local margin = high > low and 0.05 * (high - low) or 1
  lines[#lines + 1] = "unset key\nset size ratio -1"
  lines[#lines + 1] = ("set xrange [%g:%g]\nset yrange [%g:%g]"):format(low - margin,
    high + margin, low - margin, high + margin)
  lines[#lines + 1] = ("set multiplot layout 1,%d"):format(#series)
  for i, s in ipairs(series) do
    lines[#lines + 1] = "set title " .. quoted(s[1])
    lines[#lines + 1] = ("plot $d%d with points pt 7 ps 0.3 lc rgb '#%s'"):format(i,
      i == 1 and "30507080" or "c04020")
  end
  lines[#lines + 1] = "unset multiplot"
  return run(lines, o)
end

--- Curves y(x), one a series.
---@param series table { {name, y} or {name, y, x}, ... }: lists or tensors of one dimension
---@param options table? {file, title, width, height, xlabel, ylabel, logy}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
function plot.lines(series, options)
  local line_rules = setmetatable({ xlabel = { "string" }, ylabel = { "string" },
    logy = { "boolean" } }, { __index = rules })
  for k, v in pairs(rules) do line_rules[k] = v end
  local o = opts.check("lines", options, line_rules, 2)
  check_series(series)
  local lines, curves = { "set grid lc rgb '#dddddd'" }, {}
  for i, s in ipairs(series) do
    local y, x, rows = numbers(s[2], i), s[3] and numbers(s[3], i), {}
    for k = 1, #y do rows[k] = { x and x[k] or k, y[k] } end
    block(lines, "d" .. i, rows)
    curves[i] = ("$d%d with lines lw 2 title %s"):format(i, quoted(s[1]))
  end
  if o.xlabel then lines[#lines + 1] = "set xlabel " .. quoted(o.xlabel) end
  if o.ylabel then lines[#lines + 1] = "set ylabel " .. quoted(o.ylabel) end
  if o.logy then lines[#lines + 1] = "set logscale y" end
  lines[#lines + 1] = "plot " .. table.concat(curves, ", ")
  return run(lines, o)
end

local of_schedule = { "alpha_bar", "beta", "log_snr", "snr", "signal", "noise", "sigma" }

--- A quantity of several schedules against u = t/T.
---@param schedules table list of schedules
---@param options table? {what = "log_snr" ("alpha_bar", "beta", "snr", "sigma", ...), file, ...}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
function plot.schedules(schedules, options)
  local o = {}
  for k, v in pairs(options or {}) do o[k] = v end
  local what = o.what or "log_snr"
  local known = false
  for _, name in ipairs(of_schedule) do known = known or name == what end
  if not known then opts.fail("plot: %s", opts.unknown("quantity", what, of_schedule)) end
  o.what = nil
  o.xlabel, o.ylabel = o.xlabel or "u = t/T", o.ylabel or what
  local series = {}
  if type(schedules) ~= "table" then
    opts.fail("plot: a list of schedules expected, got %s", opts.shown(schedules))
  end
  for i, s in ipairs(schedules) do
    if opts.kind(s) ~= "schedule" then opts.fail("plot: entry %d is %s, not a schedule", i, opts.shown(s)) end
    local y, u = {}, {}
    for t = 1, s.T do
      local v = s[what](s, t)
      if v == v and v ~= math.huge and v ~= -math.huge then
        y[#y + 1], u[#u + 1] = v, t / s.T
      end
    end
    series[i] = { s.name, y, u }
  end
  return plot.lines(series, o)
end

return plot
