-- Animated PNGs. Each frame is written as a PNG, whose chunks are copied. Animation adds three kinds of
-- chunks: acTL (frames, plays), fcTL (before each frame) and fdAT (a frame's pixels).
local core = require "diffusion.core"

local apng = {}

local SIGNATURE = "\x89PNG\r\n\x1a\n"

-- The chunks before a PNG's pixels, and the compressed pixels. The PNG is our own, so it is
-- not checked.
local function parts_of(png)
  local head, pixels, at = {}, {}, #SIGNATURE + 1
  while at <= #png do
    local bytes, type = (">I4c4"):unpack(png, at)
    local stop = at + 12 + bytes
    if type == "IDAT" then pixels[#pixels + 1] = png:sub(at + 8, stop - 5)
    elseif type ~= "IEND" then head[#head + 1] = png:sub(at, stop - 1) end
    at = stop
  end
  return table.concat(head), table.concat(pixels)
end

local MOST = 1 << 30 -- bytes of a chunk

-- Pixels as chunks of one type, each beginning with `before()`.
local function pixel_chunks(out, type, pixels, before)
  for at = 1, #pixels, MOST do
    out[#out + 1] = core.png_chunk(type, before() .. pixels:sub(at, at + MOST - 1))
  end
end

--- The bytes of an animation.
---@param frames diffusion.tensor[] u8 [H,W,C], contiguous, all of one shape
---@param delays integer[] milliseconds that each is shown, 0..65535
---@param plays integer number of repetitions, 0 for endless
---@return string[] parts to write in order
function apng.parts(frames, delays, plays)
  local H, W = frames[1]:size(1), frames[1]:size(2)
  local out, number = { SIGNATURE }, -1
  local function numbered() -- fcTL and fdAT are numbered together, from 0
    number = number + 1
    return (">I4"):pack(number)
  end
  for i, frame in ipairs(frames) do
    local head, pixels = parts_of(core.png_write(frame))
    if i == 1 then
      out[2], out[3] = head, core.png_chunk("acTL", (">I4I4"):pack(#frames, plays))
    end
    -- width, height, x, y, delay over 1000, dispose: leave, blend: replace
    out[#out + 1] = core.png_chunk("fcTL",
      numbered() .. (">I4I4I4I4I2I2BB"):pack(W, H, 0, 0, delays[i], 1000, 0, 0))
    if i == 1 then pixel_chunks(out, "IDAT", pixels, function() return "" end)
    else pixel_chunks(out, "fdAT", pixels, numbered) end
  end
  out[#out + 1] = core.png_chunk("IEND", "")
  return out
end

return apng
