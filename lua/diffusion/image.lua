-- Pictures: reads and writes files, also animated ones, makes grids, and draws in a terminal. A
-- picture is a tensor [H,W,C] of numbers as in picture.lua. A batch has one more dimension in
-- front.
local apng = require "diffusion.file.apng"
local core = require "diffusion.core"
local png_text = require "diffusion.file.png_text"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local picture = require "diffusion.picture"
local legible = require "diffusion.legible"
local signature = require "diffusion.file.signature"
local terminal = require "diffusion.terminal"

local image = {}

--- The numbers of a picture as floats v/127.5 - 1 in [-1, 1]. The numbers may be bytes, or whole
--- numbers 0..255, which for example `255 - x` gives for bytes. Floats are returned unchanged.
---@param x diffusion.tensor u8, i64 or floats of any shape
---@return diffusion.tensor
function image.to_float(x) return picture.floats("to_float", x) end

--- The numbers of a picture as bytes 0..255. Floats in [-1, 1] are rounded, and those outside are
--- clamped. Whole numbers must be in 0..255. Bytes are returned unchanged. nan, infinity, floats
--- from 0 to beyond 4 and other whole numbers are errors.
---@param x diffusion.tensor u8, i64 or floats of any shape
---@return diffusion.tensor u8
function image.to_bytes(x) return picture.bytes("to_bytes", x) end

-- ---- files ---------------------------------------------------------------------------------

local PICTURES = { png = true, jpeg = true }

-- Calls work(file) with the mapped file. The path is put before its error message.
local function with_file(path, work)
  local file <close>, message = core.map(path)
  if not file then return nil, message end
  local value, why = work(file)
  if value ~= nil then return value end
  return legible.refused("%s: %s", path, signature.mismatch(file, "a picture (PNG or JPEG)", PICTURES) or why)
end

local function check_channels(name, channels)
  if channels ~= nil and channels ~= 1 and channels ~= 3 then
    fail.raise("%s: channels are 1 (grey) or 3 (RGB), got %s", name, kind.shown(channels))
  end
end

local upright = { "boolean", default = true, text = "turned as the file's EXIF says; false leaves it as stored" }
local columns_rule = { "integer", min = 1, default_text = "ceil(sqrt(B))", text = "pictures in a row" }

local read_rules = opts.declare("image_read", { upright = upright })
local load_rules = opts.declare("image_load", { upright = upright,
  channels = { "integer", min = 1, max = 3, default_text = "as in the file", text = "1 (grey) or 3 (RGB)" } })

--- A picture file's pixels as bytes. 16 bits per channel are rounded to 8. Gamma and colour spaces
--- in the file are ignored: values are returned as stored. A palette and inks (CMYK, as Adobe
--- writes them) become RGB.
---@param path string a PNG (grey, RGB, palette, alpha, up to 16 bits a channel) or a JPEG
---@param channels integer|nil 1 grey or 3 RGB (transparent over white); as the file has them if not given
---@param options diffusion.image_read_options?
---@return diffusion.tensor|nil x u8 [H,W,C], C in 1..4; nil with a message
---@return string|nil message
function image.read(path, channels, options)
  local o = opts.check("read", options, read_rules, 3)
  opts.path("read", path)
  check_channels("read", channels)
  return with_file(path, function(file)
    local x, message = core.picture_read(file, not o.upright)
    if not x then return nil, message end
    if channels and channels ~= x:size(3) then x = core.picture_channels(x, channels) end
    return x
  end)
end

--- Reads a picture, turned upright as its EXIF says. 16 bits per channel are rounded to 8.
---@param path string a PNG or a JPEG
---@param options diffusion.image_load_options?
---@return diffusion.tensor|nil x floats [H,W,C] in [-1, 1]; nil with a message
---@return string|nil message
function image.load(path, options)
  local o = opts.check("load", options, load_rules, 2)
  opts.path("load", path)
  check_channels("load", o.channels)
  local x, message = image.read(path, o.channels, { upright = o.upright })
  if not x then return nil, message end
  return core.picture_to_float(x)
end

local Info = {}

function Info.__tostring(info)
  local lines = { ("%s %d x %d, %d channels"):format(info.format, info.width, info.height, info.channels) }
  for _, key in ipairs(opts.names(info.text)) do
    lines[#lines + 1] = ("  %s: %s"):format(legible.line(key), legible.line(info.text[key]))
  end
  return table.concat(lines, "\n")
end
legible.speaks(Info)

--- The description of a picture file, without decoding its pixels. Its text has the file's bytes.
--- print and d.pp show characters that could control a terminal as escapes.
---@param path string
---@return table|nil info { height, width, channels, format, text = {key = value} }, and orientation, 2 to 8, if
---EXIF turns the picture: height and width are those of the upright one; nil with a message
---@return string|nil message
function image.info(path)
  opts.path("info", path)
  return with_file(path, function(file)
    local height, width, channels, format, orientation = core.picture_info(file)
    if not height then return nil, width end
    local text, message = {}, nil
    if format == "png" then text, message = png_text.read(file) end
    if not text then return nil, message end
    local info = { height = height, width = width, channels = channels, format = format, text = text,
      orientation = orientation ~= 1 and orientation or nil }
    return setmetatable(info, Info)
  end)
end

local save_rules = opts.declare("image_save", { text = { "table", as = "table<string, any>",
  text = "tEXt chunks by key, which image.info reads back as strings; numbers keep all bits" } })

--- Writes a picture as PNG, whole or not at all.
---@param path string ends in .png
---@param x diffusion.tensor [H,W,C] or [1,H,W,C], bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4
---@param options diffusion.image_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function image.save(path, x, options)
  local o = opts.check("save", options, save_rules, 3)
  picture.check("save", x, 3, 4)
  picture.check_path("save", path)
  if x:dim() == 4 and x:size(1) ~= 1 then
    fail.raise("save: one picture expected, got %s; d.image.grid makes one of many",
      kind.shape_text(x))
  end
  if x:dim() == 4 then x = x:select(1, 1) end
  if x:numel() == 0 then fail.raise("save: no pixels in %s", kind.shape_text(x)) end
  local png = core.png_write(picture.bytes("save", x))
  return core.write_file(path, core.in_c_locale(png_text.parts, png, o.text or {}))
end

-- ---- many as one ----------------------------------------------------------------------------

local grid_rules = opts.declare("image_grid", {
  columns = columns_rule, pad = { "integer", default = 2, min = 0, text = "black pixels around each picture" },
  scale = { "integer", default = 1, min = 1, text = "pixels of the grid along a pixel's side" },
})

--- Pictures in a grid, row by row. Unused places and the gaps are black.
---@param x diffusion.tensor [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options diffusion.image_grid_options?
---@return diffusion.tensor picture [rows (H+pad) + pad, columns (W+pad) + pad, C] of x's type (i64: u8), H and W scaled
---@usage print(d.image.grid(d.zeros(6, 8, 8, 1), { columns = 3 }):shape()[2])
function image.grid(x, options)
  local o = opts.check("grid", options, grid_rules, 2)
  picture.check("grid", x, 4, 4)
  if x:dtype() == "i64" then x = picture.bytes("grid", x) end
  if o.scale > 1 then x = x:repeat_each(o.scale, 2):repeat_each(o.scale, 3) end
  local B, H, W, C = table.unpack(x:shape())
  if B == 0 then fail.raise("grid: no pictures in %s", kind.shape_text(x)) end
  local columns = o.columns or math.ceil(math.sqrt(B))
  local rows, pad = (B - 1) // columns + 1, o.pad
  local black = x:dtype() == "u8" and 0 or -1
  local size = { rows * (H + pad) + pad, columns * (W + pad) + pad, C }
  local sheet = core.full(size, black, { dtype = x:dtype() })
  for k = 0, B - 1 do
    local top, left = pad + k // columns * (H + pad), pad + k % columns * (W + pad)
    sheet:narrow(1, top + 1, H):narrow(2, left + 1, W):copy_(x:select(1, k + 1))
  end
  return sheet
end

-- The bytes of one picture. A batch of several becomes a grid.
local function one_of(name, x, grid)
  local bytes = picture.bytes(name, x, name == "show")
  if bytes:dim() == 3 then return bytes end
  if bytes:size(1) == 1 then return bytes:select(1, 1):contiguous() end
  return image.grid(bytes, grid)
end

-- The frames of image.animate as contiguous bytes, all with one shape.
local function frames_of(given, columns)
  local tensor = kind.of(given) == "tensor"
  if not tensor and type(given) ~= "table" then
    fail.raise("animate: a list of pictures or a tensor [F,H,W,C] expected, got %s", kind.of(given))
  end
  if tensor and given:dim() ~= 4 and given:dim() ~= 5 then
    fail.raise("animate: [F,H,W,C] or [F,B,H,W,C] expected, got %s", kind.shape_text(given))
  end
  local count, frames = tensor and given:size(1) or #given, {}
  if count == 0 then fail.raise "animate: no frames" end
  for i = 1, count do
    local x = given[i]
    picture.check("animate", x, 3, 4)
    if x:numel() == 0 then fail.raise("animate: no pixels in frame %d, %s", i, kind.shape_text(x)) end
    frames[i] = one_of("animate", x, { columns = columns })
    local shape, first = kind.shape_text(frames[i]), kind.shape_text(frames[1])
    if shape ~= first then fail.raise("animate: frame %d is %s, the first is %s", i, shape, first) end
  end
  return frames
end

-- The milliseconds for which each of n frames is shown.
local function thousandths(delay, n)
  local out, listed = {}, type(delay) == "table"
  if listed and #delay ~= n then fail.raise("animate: %d delays for %d frames", #delay, n) end
  for i = 1, n do
    local seconds = listed and delay[i] or delay
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 65) then
      fail.raise("animate: a delay is 0 to 65 seconds, got %s", kind.shown(seconds))
    end
    out[i] = math.floor(1000 * seconds + 0.5)
  end
  return out
end

local animate_rules = opts.declare("image_animate", {
  delay = { "number|table", default = 0.1, as = "number|number[]",
    text = "seconds that a frame is shown, 0 to 65, or a list of them" },
  columns = columns_rule, loop = { "integer", min = 0, max = 2 ^ 31 - 1, default = 0,
    text = "times it plays; 0: without end" },
})

--- Writes pictures as an animated PNG, whole or not at all. Browsers play it, and other programs
--- show the first frame. Frames share size and channels.
---@param path string ends in .png
---@param frames diffusion.tensor|table [F,H,W,C], or a list of [H,W,C] or of batches [B,H,W,C], each made
---one by image.grid; bytes, whole numbers 0..255 or floats in [-1, 1] (clamped), C in 1..4
---@param options diffusion.image_animate_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function image.animate(path, frames, options)
  local o = opts.check("animate", options, animate_rules, 3)
  picture.check_path("animate", path)
  local list = frames_of(frames, o.columns)
  return core.write_file(path, apng.parts(list, thousandths(o.delay, #list), o.loop))
end

-- The bytes of a batch as one RGB picture that fits the terminal's width.
local function sheet_of(x, columns, width)
  local bytes = core.picture_channels(one_of("show", x, { columns = columns, pad = 1 }), 3)
  local H, W = bytes:size(1), bytes:size(2)
  if W > width then bytes = core.picture_fit(bytes, math.max(1, H * width // W), width) end
  return bytes
end

local draw_rules = opts.declare("image_draw", {
  columns = columns_rule, label = { "any", as = "string", text = "a line above the picture" },
  style = { one_of = { "truecolor", "256", "ascii" }, default_text = "the terminal's best",
    text = "colours or letters" },
  width = { "integer", min = 2, max = 10000, default_text = "COLUMNS, the terminal's, or 80",
    text = "letters in a line" },
})

--- The text that image.show writes.
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options diffusion.image_draw_options?
---@return string
function image.draw(x, options)
  local o = opts.check("show", options, draw_rules, 2)
  picture.check("show", x, 3, 4)
  if x:numel() == 0 then fail.raise("show: no pixels in %s", kind.shape_text(x)) end
  local width = o.width or terminal.width()
  local sheet = sheet_of(x, o.columns, width)
  local H, W = sheet:size(1), sheet:size(2)
  local text = terminal.draw(sheet:bytes(), H, W, o.style or terminal.style(), width)
  return o.label and legible.printable(o.label) .. "\n" .. text or text
end

--- Draws in the terminal, with two pixels per character in 24-bit colour or 256 colours. Without
--- colours, with NO_COLOR or without a terminal it draws with letters.
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8, i64 in 0..255 or floats in [-1, 1]
---@param options diffusion.image_draw_options?
---@usage d.image.show(d.data.digits().x:narrow(1, 1, 10), { columns = 10 })
function image.show(x, options)
  io.stdout:write(image.draw(x, options))
end

return image
