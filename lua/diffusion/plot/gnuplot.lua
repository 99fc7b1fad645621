-- The door to gnuplot: its terminals, its quoting, numbers as blocks of data, and a script
-- run so that the file appears whole or not at all.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

local gnuplot = {}

local common = {
  file = { "path" },
  title = { "string" },
  width = { "integer", default = 800, min = 100, max = 10000 },
  height = { "integer", default = 600, min = 100, max = 10000 },
}

local missing = "plot: the program gnuplot isn't there; install it (Debian: apt install gnuplot-nox)"

--- The options of every plot, and some more.
---@param more table<string, table>|nil
---@return table<string, table>
function gnuplot.rules(more)
  local rules = {}
  for name, rule in pairs(common) do rules[name] = rule end
  for name, rule in pairs(more or {}) do rules[name] = rule end
  return rules
end

local function has_gnuplot()
  local f <close> = io.popen("command -v gnuplot 2>/dev/null")
  return f and f:read "l" ~= nil
end

--- In single quotes gnuplot takes everything literally but the quote itself.
---@param text any
---@return string
function gnuplot.quoted(text) return "'" .. tostring(text):gsub("'", "''") .. "'" end

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

--- Adds rows of numbers as $name; an empty row breaks a line.
---@param out string[]
---@param name string
---@param rows number[][]
function gnuplot.block(out, name, rows)
  out[#out + 1] = ("$%s << EOD"):format(name)
  for _, row in ipairs(rows) do
    local words = {}
    for i, v in ipairs(row) do words[i] = ("%.9g"):format(v) end
    out[#out + 1] = table.concat(words, " ")
  end
  out[#out + 1] = "EOD"
end

--- Takes a list of series {name, ...}.
---@param series any
function gnuplot.check_series(series)
  if opts.kind(series) ~= "table" then opts.fail("plot: a list of series expected, got %s", opts.shown(series)) end
  if #series == 0 then opts.fail "plot: no series to draw" end
  for i, s in ipairs(series) do
    if type(s) ~= "table" then opts.fail("plot: series %d is %s, not {name, ...}", i, opts.shown(s)) end
  end
end

--- A panel a series, under its name.
---@param lines string[]
---@param series table { {name, ...}, ... }
---@param panels string[] the command that draws each
---@param o table {title}
function gnuplot.side_by_side(lines, series, panels, o)
  local title = o.title and #series > 1 and " title " .. gnuplot.quoted(o.title) or ""
  lines[#lines + 1] = ("set multiplot layout 1,%d%s"):format(#panels, title)
  for i, command in ipairs(panels) do
    if #series > 1 or not o.title then lines[#lines + 1] = "set title " .. gnuplot.quoted(series[i][1]) end
    lines[#lines + 1] = command
  end
  lines[#lines + 1] = "unset multiplot"
end

-- Runs a script; what gnuplot draws into a file comes to `picture`. The script stands in a file:
-- a gnuplot that stops early would close a pipe, and a signal end this program.
local function draw(script, picture, quiet)
  local path = os.tmpname()
  local ok, message = core.write_file(path, { script })
  if ok then
    io.stdout:flush()
    ok = os.execute(("gnuplot <%s >%s"):format(path, picture or quiet))
  end
  os.remove(path)
  return ok, message
end

local function bytes_of(path)
  local f <close> = io.open(path, "rb")
  return f and f:read "a" or ""
end

--- Runs the script; the file appears whole or not at all.
---@param lines string[]
---@param o table {file, title, width, height}
---@return boolean|nil ok nil with a message where it fails
---@return string|nil message
function gnuplot.run(lines, o)
  if not has_gnuplot() then
    io.stderr:write(missing, "\n")
    return nil, missing
  end
  local window, picture = terminal(o), o.file and os.tmpname() -- gnuplot's own standard output
  local head = { window, "set termoption noenhanced" }
  if o.title then head[#head + 1] = "set title " .. gnuplot.quoted(o.title) end
  local script = table.concat(head, "\n") .. "\n" .. table.concat(lines, "\n") .. "\nunset output\n"
  local quiet = window:find "^set term dumb" and "&1 2>/dev/null" or "/dev/null 2>&1"
  local ok, message = draw(script, picture and picture .. " 2>/dev/null", quiet)
  local bytes = picture and bytes_of(picture)
  if picture then os.remove(picture) end
  if not ok then return nil, "plot: " .. (message or ("gnuplot failed to draw %s"):format(o.file or "the plot")) end
  if not picture then return true end
  ok, message = core.write_file(o.file, { bytes })
  if not ok then return nil, "plot: " .. message end
  return true
end

return gnuplot
