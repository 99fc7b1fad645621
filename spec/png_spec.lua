-- Reads every kind of PNG, as in PngSuite: colour types, depths, interlacing, transparency, and
-- sides of 1 to
-- 33 pixels. Pixels are compared with those of a second decoder
-- (spec/support/make_pngs.py, which writes
-- spec/fixtures/pngs.bin).
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local image = d.image

-- The PNGs of the fixture: { file, crc, shape, text }.
local function collection()
  local pack <close> = assert(core.map "spec/fixtures/pngs.bin")
  local bytes = ("<I4"):unpack(pack:text(0, 4))
  local all, at, list = assert(pack:inflate(4, pack:size() - 4, bytes)), 0, {}
  while at < bytes do
    local length, crc, H, W, C = ("<I4I4I2I2I2"):unpack(all:text(at, 14))
    local _, _, depth, colour, _, _, interlaced = (">I4I4BBBBB"):unpack(all:text(at + 30, 13))
    list[#list + 1] = { file = all:part(at + 14, length), crc = crc, shape = { H, W, C },
      text = ("colour type %d, %d bits, interlaced %d, %d x %d"):format(colour, depth, interlaced, W, H),
      kind = ("%d/%d/%d/%d"):format(colour, depth, interlaced, C) }
    at = at + 14 + length
  end
  return list
end

-- zlib's, of the pixels behind "pxls"
local function checksum(x) return (">I4"):unpack(core.png_chunk("pxls", x:bytes()), -4) end

describe("PNGs of every kind", function()
  it("are read as a second decoder reads them", function()
    local kinds, count, wrong = {}, 0, {}
    for _, png in ipairs(collection()) do
      local x = assert(core.picture_read(png.file))
      assert.same(png.shape, x:shape(), png.text)
      if checksum(x) ~= png.crc then wrong[#wrong + 1] = png.text end
      count = count + (kinds[png.kind] and 0 or 1)
      kinds[png.kind] = true
    end
    assert.same({}, wrong)
    assert.equal(2 * (15 + 11), count) -- kinds without tRNS and with, interlaced and not
  end)

  it("measure what they hold", function()
    for i, png in ipairs(collection()) do
      if i % 10 == 0 then
        local H, W, C, format = core.picture_info(png.file)
        assert.same({ png.shape, "png" }, { { H, W, C }, format }, png.text)
      end
    end
  end)
end)

-- Pixels in the order of Adam7's passes, each row of a pass behind its filter's byte.
local function interlaced(width, height, samples)
  local raw = ""
  for _, p in ipairs { { 0, 0, 8, 8 }, { 4, 0, 8, 8 }, { 0, 4, 4, 8 }, { 2, 0, 4, 4 }, { 0, 2, 2, 4 }, { 1, 0, 2, 2 },
                       { 0, 1, 1, 2 } } do
    for y = p[2], p[1] < width and height - 1 or -1, p[4] do
      raw = raw .. "\0"
      for x = p[1], width - 1, p[3] do raw = raw .. samples(x, y) end
    end
  end
  return raw
end

describe("16 bits", function()
  after_each(forge.clean)

  it("interlaced, are whole", function()
    local function v(x, y) return (x * 257 * 5 + y * 257 * 31) % 65536 // 257 end
    local raw = interlaced(17, 5, function(x, y) return (">I2I2I2"):pack(v(x, y) * 257, v(y, x) * 257, 65535) end)
    local x = assert(image.read(forge.file(forge.png_of(17, 5, 16, 2, 1, raw)))):totable()
    for j = 1, 17 do
      for i = 1, 5 do assert.same({ v(j - 1, i - 1), v(i - 1, j - 1), 255 }, x[i][j]) end
    end
  end)

  it("become the nearest of 8, v 255/65535", function()
    local row, wanted = "", {}
    local values = { 0, 127, 128, 129, 384, 385, 386, 32639, 32640, 32767, 32768, 65406, 65407, 65535 }
    for i, v in ipairs(values) do
      row = row .. (">I2"):pack(v)
      wanted[i] = { math.floor(v * 255 / 65535 + 0.5) }
    end
    local path = forge.file(forge.png(#values, 16, 0, { row }))
    assert.same({ wanted }, assert(image.read(path)):totable())
    local x = assert(image.load(path)):totable()[1]
    for i, w in ipairs(wanted) do assert.near(w[1] / 127.5 - 1, x[i][1], 1e-6) end
  end)

  it("are compared with tRNS before they are rounded", function()
    local clear = forge.chunk("tRNS", "\x12\x34")
    local png = forge.png(3, 16, 0, { "\x12\x34\x12\x35\x12\x33" }, clear)
    assert.same({ { { 0x12, 0 }, { 0x12, 255 }, { 0x12, 255 } } }, assert(image.read(forge.file(png))):totable())
  end)
end)

describe("a PNG that isn't whole", function()
  after_each(forge.clean)

  local function refused(bytes, ...)
    local x, why = image.read(forge.file(bytes))
    assert.is_nil(x)
    for _, word in ipairs { ... } do assert.is_truthy(why:find(word, 1, true), why) end
  end

  it("is refused, whatever is missing", function()
    local raw = interlaced(9, 9, function() return "\1\2\3\4\5\6" end)
    assert(image.read(forge.file(forge.png_of(9, 9, 16, 2, 1, raw))))
    refused(forge.png_of(9, 9, 16, 2, 1, raw:sub(1, -2)), "png", "image data")
    refused(forge.png_of(9, 9, 16, 2, 2, raw), "png")
    refused(forge.png_of(9, 9, 16, 3, 0, raw), "png")
    refused(forge.png_of(9, 9, 3, 0, 0, raw), "png")
    refused(forge.png(1, 8, 3, { "\0" }), "png") -- no palette
    refused("", "empty")
    refused("\x89PNG", "cut short at 4 bytes")
  end)
end)
