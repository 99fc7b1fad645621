-- Pixels as characters: half blocks in 24-bit or 256 colours, or letters, as the terminal on
-- standard output can show them.
local core = require "diffusion.core"

local terminal = {}

--- "truecolor" or "256". It is "ascii" without a terminal or without colours, or with NO_COLOR.
---@return string
function terminal.style()
  local none = os.getenv "NO_COLOR"
  if not core.isatty(1) or (none and none ~= "") then return "ascii" end
  local colour, term = os.getenv "COLORTERM" or "", os.getenv "TERM" or ""
  if colour == "truecolor" or colour == "24bit" then return "truecolor" end
  return term:find "256color" and "256" or "ascii"
end

--- Whether standard output can show bold type: at a terminal, unless NO_COLOR is set or TERM is "dumb".
---@return boolean
function terminal.bold()
  local none, term = os.getenv "NO_COLOR" or "", os.getenv "TERM" or ""
  return core.isatty(1) and none == "" and term ~= "" and term ~= "dumb"
end

local function wide_enough(columns) return columns and columns >= 2 and columns <= 10000 and columns or nil end

--- The width of a line: COLUMNS, or the columns of the terminal on standard output, or 80.
---@return integer
function terminal.width()
  local columns = math.tointeger(tonumber(os.getenv "COLUMNS" or ""))
  return wide_enough(columns) or wide_enough(core.columns(1)) or 80
end

-- The nearest of 256 colours. They are a cube of 6 x 6 x 6 from 16, and 24 greys from 232.
local LEVEL = { 0, 95, 135, 175, 215, 255 }

local function nearest_level(v)
  return v < 48 and 1 or v < 115 and 2 or (v - 35) // 40 + 1
end

local function distance(r, g, b, x, y, z)
  return (r - x) ^ 2 + (g - y) ^ 2 + (b - z) ^ 2
end

local function of_256(r, g, b)
  local i, j, k = nearest_level(r), nearest_level(g), nearest_level(b)
  local grey = math.max(0, math.min(23, ((r + g + b) // 3 - 3) // 10))
  local v = 8 + 10 * grey
  if distance(r, g, b, v, v, v) < distance(r, g, b, LEVEL[i], LEVEL[j], LEVEL[k]) then return 232 + grey end
  return 16 + 36 * (i - 1) + 6 * (j - 1) + k - 1
end

local function paint(style, layer, r, g, b)
  if style == "256" then return ("\27[%d;5;%dm"):format(layer, of_256(r, g, b)) end
  return ("\27[%d;2;%d;%d;%dm"):format(layer, r, g, b)
end

-- The upper half block, in the upper pixel's colour on the lower's.
local function half_blocks(bytes, H, W, style)
  local lines = {}
  for i = 0, H - 1, 2 do
    local line, last = {}, nil
    for j = 0, W - 1 do
      local up = (i * W + j) * 3 + 1
      local colour = paint(style, 38, bytes:byte(up, up + 2))
      if i + 1 < H then
        local low = up + W * 3
        colour = colour .. paint(style, 48, bytes:byte(low, low + 2))
      end
      line[#line + 1] = (colour == last and "" or colour) .. "▀"
      last = colour
    end
    lines[#lines + 1] = table.concat(line) .. "\27[0m\n"
  end
  return table.concat(lines)
end

local RAMP = " .:-=+*#%@"

local function brightness(bytes, i, j, W)
  local r, g, b = bytes:byte((i * W + j) * 3 + 1, (i * W + j) * 3 + 3)
  return 0.299 * r + 0.587 * g + 0.114 * b
end

-- A letter is twice as tall as wide. If they fit, two letters show one pixel. Otherwise one letter
-- shows two pixels, one above the other.
local function letters(bytes, H, W, width)
  local double = 2 * W <= width
  local lines = {}
  for i = 0, H - 1, double and 1 or 2 do
    local line = {}
    for j = 0, W - 1 do
      local v = brightness(bytes, i, j, W)
      if not double and i + 1 < H then v = (v + brightness(bytes, i + 1, j, W)) / 2 end
      local place = math.floor(v / 256 * #RAMP) + 1
      line[#line + 1] = RAMP:sub(place, place):rep(double and 2 or 1)
    end
    lines[#lines + 1] = table.concat(line):gsub(" +$", "") .. "\n"
  end
  return table.concat(lines)
end

--- Draws pixels.
---@param bytes string H x W x 3
---@param H integer
---@param W integer at most `width`
---@param style string "truecolor", "256" or "ascii"
---@param width integer letters to a line
---@return string lines, each with its end
function terminal.draw(bytes, H, W, style, width)
  if style == "ascii" then return letters(bytes, H, W, width) end
  return half_blocks(bytes, H, W, style)
end

return terminal
