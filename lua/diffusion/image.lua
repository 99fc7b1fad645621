-- Pictures: files in and out, grids, and drawing in a terminal. A picture is a tensor
-- [H,W,C] of floats in [-1, 1] or of u8 bytes; a batch has one dimension more in front.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local terminal = require "diffusion.terminal"

local image = {}

local function check_picture(name, x, least, most)
  if opts.kind(x) ~= "tensor" then opts.fail("%s: a tensor expected, got %s", name, opts.kind(x)) end
  if x:dim() < least or x:dim() > most then
    opts.fail("%s: %s expected, got [%s]", name, most == 3 and "[H,W,C]" or least == 4 and "[B,H,W,C]"
      or "[H,W,C] or [B,H,W,C]", table.concat(x:shape(), ","))
  end
  local C = x:size(-1)
  if C < 1 or C > 4 then opts.fail("%s: %d channels; a picture has 1 to 4", name, C) end
end

-- Dense bytes of a tensor of either type.
local function to_bytes(x)
  if x:dtype() == "u8" then return x:contiguous() end
  return core.picture_to_bytes(x)
end

--- Bytes 0..255 as floats in [-1, 1]; floats stay as they are.
---@param x diffusion.tensor u8 of any shape
---@return diffusion.tensor
function image.to_float(x)
  if opts.kind(x) ~= "tensor" then opts.fail("to_float: a tensor expected, got %s", opts.kind(x)) end
  if x:dtype() ~= "u8" then return x end
  return core.picture_to_float(x:contiguous())
end

--- Floats in [-1, 1] as bytes 0..255, rounded; what is outside is clamped. Bytes stay.
---@param x diffusion.tensor of any shape
---@return diffusion.tensor u8
function image.to_bytes(x)
  if opts.kind(x) ~= "tensor" then opts.fail("to_bytes: a tensor expected, got %s", opts.kind(x)) end
  return to_bytes(x)
end

-- ---- files ---------------------------------------------------------------------------------

-- Calls work(file) with the mapped file; its failure gets the path in front.
local function with_file(path, work)
  local file <close>, message = core.map(path)
  if not file then return nil, message end
  local value, why = work(file)
  if value == nil then return nil, ("%s: %s"):format(path, why) end
  return value
end

--- A picture file's pixels as bytes.
---@param path string a PNG (grey, RGB, palette, alpha, up to 16 bits a channel) or a JPEG
---@param channels integer|nil 1 grey or 3 RGB (transparent over white); as the file has them if not given
---@return diffusion.tensor|nil x u8 [H,W,C], C in 1..4; nil with a message
---@return string|nil message
function image.read(path, channels)
  return with_file(path, function(file)
    local x, message = core.picture_read(file)
    if not x then return nil, message end
    if channels and channels ~= x:size(3) then x = core.picture_channels(x, channels) end
    return x
  end)
end

--- Reads a picture.
---@param path string a PNG or a JPEG
---@param options table|nil channels = 1 (grey) or 3 (RGB); as the file has them if not given
---@return diffusion.tensor|nil x floats [H,W,C] in [-1, 1]; nil with a message
---@return string|nil message
function image.load(path, options)
  local o = opts.check("load", options, { channels = { "integer", min = 1, max = 3 } }, 2)
  if o.channels == 2 then opts.fail("load: channels are 1 (grey) or 3 (RGB), got 2") end
  local x, message = image.read(path, o.channels)
  if not x then return nil, message end
  return core.picture_to_float(x)
end

local function text_chunks(file)
  local text, chunks, message = {}, core.png_chunks(file)
  if not chunks then return nil, message end
  for _, chunk in ipairs(chunks) do
    if chunk[1] == "tEXt" then
      local key, value = file:text(chunk[2], chunk[3]):match "^([^\0]+)\0(.*)$"
      if key then text[key] = value end
    end
  end
  return text
end

--- What a picture file says of itself, without decoding it.
---@param path string
---@return table|nil info { height, width, channels, format, text = {key = value} }; nil with a message
---@return string|nil message
function image.info(path)
  return with_file(path, function(file)
    local height, width, channels, format = core.picture_info(file)
    if not height then return nil, width end
    local text, message = {}, nil
    if format == "png" then text, message = text_chunks(file) end
    if not text then return nil, message end
    return { height = height, width = width, channels = channels, format = format, text = text }
  end)
end

-- PNG's tEXt: a keyword of 1 to 79 letters, a zero byte, the text.
local function text_parts(text)
  local keys, parts = {}, {}
  for key in pairs(text) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do
    local value = text[key]
    if type(key) ~= "string" or #key < 1 or #key > 79 or key:find "\0" then
      opts.fail("save: the text's name %s isn't a string of 1 to 79 bytes", tostring(key))
    end
    if type(value) ~= "string" and type(value) ~= "number" or tostring(value):find "\0" then
      opts.fail("save: the text %s is a %s, not a string", key, type(value))
    end
    parts[i] = core.png_chunk("tEXt", key .. "\0" .. value)
  end
  return parts
end

local OTHER = { jpg = true, jpeg = true, gif = true, bmp = true, webp = true, tif = true, tiff = true }

local HEAD = 33 -- bytes of a PNG up to the end of its first chunk, where text may stand

--- Writes a picture as PNG, whole or not at all.
---@param path string ends in .png
---@param x diffusion.tensor [H,W,C] or [1,H,W,C], u8 or floats in [-1, 1] (clamped), C in 1..4
---@param options table|nil text = {key = value}: tEXt chunks, to be read back by image.info
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function image.save(path, x, options)
  local o = opts.check("save", options, { text = { "table" } }, 3)
  check_picture("save", x, 3, 4)
  if OTHER[(path:match "%.(%a+)$" or ""):lower()] then
    opts.fail("save: pictures are written as PNG; %s names another format", path)
  end
  if x:dim() == 4 and x:size(1) ~= 1 then
    opts.fail("save: one picture expected, got [%s]; d.image.grid makes one of many",
      table.concat(x:shape(), ","))
  end
  if x:dim() == 4 then x = x:select(1, 1) end
  local png = core.png_write(to_bytes(x))
  local parts = { png:sub(1, HEAD), table.unpack(text_parts(o.text or {})) }
  parts[#parts + 1] = png:sub(HEAD + 1)
  return core.write_file(path, parts)
end

-- ---- many as one ----------------------------------------------------------------------------

--- Pictures side by side in one, row by row; what is left over, and the seams, are black.
---@param x diffusion.tensor [B,H,W,C], u8 or floats in [-1, 1]
---@param options table|nil columns = ceil(sqrt(B)), pad = 2 pixels around each
---@return diffusion.tensor picture [rows (H+pad) + pad, columns (W+pad) + pad, C] of x's type
function image.grid(x, options)
  local o = opts.check("grid", options,
    { columns = { "integer", min = 1 }, pad = { "integer", default = 2, min = 0 } }, 2)
  check_picture("grid", x, 4, 4)
  local B, H, W, C = table.unpack(x:shape())
  if B == 0 then opts.fail("grid: no pictures in [%s]", table.concat(x:shape(), ",")) end
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

-- Bytes of a batch as one RGB picture no wider than the terminal takes.
local function sheet_of(x, columns, width)
  local bytes = to_bytes(x)
  if bytes:dim() == 4 then
    if bytes:size(1) > 1 then bytes = image.grid(bytes, { columns = columns, pad = 1 })
    else bytes = bytes:select(1, 1) end
  end
  bytes = core.picture_channels(bytes:contiguous(), 3)
  local H, W = bytes:size(1), bytes:size(2)
  if W > width then bytes = core.picture_fit(bytes, math.max(1, H * width // W), width) end
  return bytes
end

--- The text that image.show writes.
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8 or floats in [-1, 1]
---@param options table|nil columns; label = a line above; style = "truecolor", "256" or "ascii"
---(what the terminal on standard output can do); width = letters to a line (COLUMNS or 80)
---@return string
function image.draw(x, options)
  local o = opts.check("show", options, {
    columns = { "integer", min = 1 }, label = { "any" },
    style = { one_of = { "truecolor", "256", "ascii" } },
    width = { "integer", min = 2, max = 10000, default = terminal.width() },
  }, 2)
  check_picture("show", x, 3, 4)
  if x:numel() == 0 then opts.fail("show: no pixels in [%s]", table.concat(x:shape(), ",")) end
  local sheet = sheet_of(x, o.columns, o.width)
  local H, W = sheet:size(1), sheet:size(2)
  local text = terminal.draw(sheet:bytes(), H, W, o.style or terminal.style(), o.width)
  return o.label and tostring(o.label) .. "\n" .. text or text
end

--- Draws in the terminal: two pixels to a letter in 24-bit colour, or in 256 colours, or as
--- letters (no colours, NO_COLOR, or not a terminal at all).
---@param x diffusion.tensor [H,W,C] or [B,H,W,C], u8 or floats in [-1, 1]
---@param options table|nil as image.draw
function image.show(x, options)
  io.stdout:write(image.draw(x, options))
end

return image
