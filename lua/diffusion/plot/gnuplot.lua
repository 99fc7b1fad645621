-- The interface to gnuplot: its terminals, its quoting, and numbers as blocks of data. A file
-- appears whole or not at all. Text reaches gnuplot by gnuplot.quoted, numbers by gnuplot.format,
-- and file names not at all.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local gnuplot = {}

local common = {
  file = { "path", default_text = "a window, or the terminal", text = "a file that ends in .png or .svg" },
  title = { "string", text = "the picture's title" },
  width = { "integer", default = 800, min = 100, max = 10000, text = "width in pixels" },
  height = { "integer", default = 600, min = 100, max = 10000, text = "height in pixels" },
}

--- The options xlabel and ylabel of plots that have both.
gnuplot.labels = { xlabel = { "string", text = "name of the horizontal axis" },
                   ylabel = { "string", text = "name of the vertical axis" } }

local missing = "plot: the program gnuplot isn't there; install it (Debian: apt install gnuplot-nox)"

--- The options of every plot, and some more.
---@param more table<string, table>|nil
---@return table<string, table>
function gnuplot.rules(more)
  return opts.joined(common, more or {})
end

local function has_gnuplot()
  local f <close> = io.popen("command -v gnuplot 2>/dev/null")
  return f and f:read "l" ~= nil
end

--- string.format for what gnuplot reads.
gnuplot.format = legible.format

-- In single quotes gnuplot takes all literally except line ends and the quote itself. A quote can be
-- doubled, but not at the beginning and not twice in a row. These become separate strings, joined by
-- gnuplot's dots.
local BREAK = [['."\n".']]

local function quotes_in(before, quotes)
  if before ~= "" and quotes == "'" then return before .. "''" end
  return before .. [['."]] .. ([[\47]]):rep(#quotes) .. [[".']]
end

--- A text as a gnuplot string, with its line breaks. Characters that control a terminal are escaped.
---@param text any
---@return string
function gnuplot.quoted(text)
  local shown = legible.printable((legible.text(text):gsub("\r\n?", "\n")))
  return "'" .. shown:gsub("\t", " "):gsub("([^'\n]?)('+)", quotes_in):gsub("\n", BREAK) .. "'"
end

--- The same for an entry of the legend, as one line. gnuplot would draw a second line over the next
--- entry.
---@param text any
---@return string
function gnuplot.entry(text) return gnuplot.quoted((legible.text(text):gsub("[ \t]*[\r\n]+[ \t]*", " "))) end

local function has_display()
  for _, name in ipairs { "DISPLAY", "WAYLAND_DISPLAY" } do
    if (os.getenv(name) or "") ~= "" then return true end
  end
  return false
end

local function terminal(o)
  local suffix = o.file and legible.lower(o.file):match "%.([^./]+)$"
  local size = ("size %d,%d"):format(o.width, o.height)
  if not o.file then
    if has_display() then return "set term qt persist" end
    return "set term dumb 79,24"
  end
  if suffix == "png" then return "set term pngcairo " .. size .. " font 'sans,11'" end
  if suffix == "svg" then return "set term svg " .. size end
  fail.raise("plot: file '%s' should end in .png or .svg", o.file)
end

--- Adds rows of numbers as $name; an empty row breaks a line.
---@param out string[]
---@param name string
---@param rows number[][]
function gnuplot.block(out, name, rows)
  out[#out + 1] = ("$%s << EOD"):format(name)
  for _, row in ipairs(rows) do
    local words = {}
    for i, v in ipairs(row) do words[i] = gnuplot.format("%.9g", v) end
    out[#out + 1] = table.concat(words, " ")
  end
  out[#out + 1] = "EOD"
end

--- Raises unless the value is a list of series {name, ...}.
---@param series any
function gnuplot.check_series(series)
  if kind.of(series) ~= "table" then fail.raise("plot: a list of series expected, got %s", kind.shown(series)) end
  if #series == 0 then fail.raise "plot: no series to draw" end
  for i, s in ipairs(series) do
    if type(s) ~= "table" then fail.raise("plot: series %d is %s, not {name, ...}", i, kind.shown(s)) end
  end
end

--- One panel per series, with its name as the title.
---@param lines string[]
---@param series table { {name, ...}, ... }
---@param panels string[] the command that draws each panel
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

--- The command that sets an axis to a range.
---@param axis string "x" or "y"
---@param from number
---@param to number
---@return string
function gnuplot.range(axis, from, to) return gnuplot.format("set %srange [%.9g:%.9g]", axis, from, to) end

local function shell_quoted(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

-- A temporary file with this text, which <close> removes; or nil and a message.
local function passing_file(text)
  local fine, path = pcall(os.tmpname)
  if not fine then return nil, path end
  local written, message = core.write_file(path, { text })
  if written then return setmetatable({ path = path }, { __close = function() os.remove(path) end }) end
  os.remove(path)
  return nil, message
end

-- The output of gnuplot for a script is a picture, or a drawing of letters. A window has no output, and
-- stays open after the call.
local function drawn(script, has_window)
  local passing <close>, message = passing_file(script)
  if not passing then return nil, message end
  local words = { "gnuplot <", shell_quoted(passing.path), "2>/dev/null", has_window and ">/dev/null" or nil }
  local pipe <close> = assert(io.popen(table.concat(words, " ")))
  local bytes = pipe:read "a"
  return pipe:close() and bytes, "gnuplot failed"
end

--- Runs the script. A file appears whole or not at all.
---@param lines string[]
---@param o table {file, title, width, height}
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function gnuplot.run(lines, o)
  local device = terminal(o)
  if not has_gnuplot() then
    io.stderr:write(missing, "\n")
    return nil, missing
  end
  local head = { device, "set termoption noenhanced", "set encoding utf8" }
  if o.title then head[#head + 1] = "set title " .. gnuplot.quoted(o.title) end
  local script = table.concat(head, "\n") .. "\n" .. table.concat(lines, "\n") .. "\n"
  local has_window = device:find "^set term qt" ~= nil
  local bytes, why = drawn(script, has_window)
  if not bytes then return legible.refused("plot: %s isn't drawn: %s", o.file or "this", why) end
  if o.file and bytes == "" then return legible.refused("plot: gnuplot drew nothing for %s", o.file) end
  if o.file then return core.write_file(o.file, { bytes }) end
  if not has_window then io.stdout:write(bytes) end
  return true
end

return gnuplot
