-- JPEGs as Pillow reads them (spec/support/make_jpegs.py): inks, EXIF's orientations in both
-- byte orders, subsampling, progressive ones; and what is cut short. PNGs turn by eXIf alike.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local image = d.image

local built_in = image.read "spec/fixtures/ramp.jpg"
local jpeg_it = built_in and it or function() end

-- The JPEGs of the fixture: { file, bytes, pixels, shape }, by name.
local function collection()
  local pack <close> = assert(core.map "spec/fixtures/jpegs.bin")
  local bytes = ("<I4"):unpack(pack:text(0, 4))
  local all, at, list = assert(pack:inflate(4, pack:size() - 4, bytes)), 0, {}
  while at < bytes do
    local named = all:text(at, 1):byte()
    local name = all:text(at + 1, named)
    local length, H, W, C = ("<I4I2I2I2"):unpack(all:text(at + 1 + named, 10))
    at = at + 11 + named
    list[name] = { file = all:part(at, length), bytes = all:text(at, length), shape = { H, W, C },
      pixels = all:text(at + length, H * W * C) }
    at = at + length + H * W * C
  end
  return list
end

local function largest_gap(x, pixels)
  local most = 0
  for i, v in ipairs(x:flatten():totable()) do most = math.max(most, math.abs(v - pixels:byte(i))) end
  return most
end

describe("JPEGs", function()
  after_each(forge.clean)

  jpeg_it("are read as Pillow reads them, upright and in RGB", function()
    local count = 0
    for name, jpeg in pairs(collection()) do
      local x = assert(core.picture_read(jpeg.file))
      assert.same(jpeg.shape, x:shape(), name)
      local gap = largest_gap(x, jpeg.pixels)
      assert.is_true(gap <= 3, ("%s: %d apart"):format(name, gap))
      count = count + 1
    end
    assert.equal(31, count)
  end)

  jpeg_it("that go over their pixels thousands of times are refused", function()
    local bytes = collection().progressive.bytes
    local last = bytes:match "^.*()\xff\xda"
    local path = forge.file(bytes:sub(1, -3) .. bytes:sub(last, -3):rep(3000) .. "\xff\xd9")
    local x, message = image.load(path)
    assert.is_nil(x)
    assert.truthy(message:find("500", 1, true), message)
  end)

  jpeg_it("are left as stored where that is asked for", function()
    local list = collection()
    for name, turned in pairs { ["II 6"] = 6, ["MM 8"] = 8, ["II 3"] = 3, ["MM long"] = 6 } do
      local path = forge.file(list[name].bytes)
      local plain = list["II 1"]
      assert.same(plain.shape, image.read(path, nil, { upright = false }):shape())
      assert.equal(0, largest_gap(image.read(path, nil, { upright = false }), assert(
        core.picture_read(plain.file)):bytes()))
      assert.same(plain.shape, image.load(path, { upright = false }):shape())
      assert.same(list[name].shape, image.load(path):shape())
      local info = image.info(path)
      assert.same({ list[name].shape, turned }, { { info.height, info.width, info.channels }, info.orientation })
      local dir = forge.folder()
      assert(os.rename(path, dir .. "/a.jpg"))
      assert.same(list[name].shape[1], assert(d.data.folder(dir, { channels = 1 })).x:size(2))
      assert.same(plain.shape[1], assert(d.data.folder(dir, { channels = 1, upright = false })).x:size(2))
    end
    assert.is_nil(image.info(forge.file(list["II 0"].bytes)).orientation)
    assert.is_nil(image.info(forge.file(list["MM 9"].bytes)).orientation)
  end)

  jpeg_it("cut short say where, never that they are 0 x 0", function()
    for _, name in ipairs { "MM 6", "progressive", "CMYK" } do
      local bytes = collection()[name].bytes
      for n = 0, #bytes - 1, 13 do
        local x, why = image.load(forge.file(bytes:sub(1, n)))
        assert.is_nil(x)
        assert.is_nil(why:find("0 x 0", 1, true), why)
        if n > 0 then assert.is_truthy(why:find(("cut short at %d bytes"):format(n), 1, true), why) end
      end
      forge.clean()
    end
  end)

  jpeg_it("damaged but whole aren't said to be cut", function()
    local bytes = collection()["MM 6"].bytes
    local second = 5 + (">I2"):unpack(bytes, 5) -- the first segment's length counts itself, from byte 5 on
    assert.equal(0xff, bytes:byte(second))
    local x, why = image.load(forge.file(bytes:sub(1, second - 1) .. "\1" .. bytes:sub(second + 1)))
    assert.is_nil(x)
    assert.is_nil(why:find("cut short", 1, true), why)
  end)

  jpeg_it("with damaged EXIF are read as stored", function()
    local jpeg = collection()["MM 6"]
    local at = jpeg.bytes:find("Exif\0\0", 1, true)
    for k = 6, 40 do
      for _, byte in ipairs { "\0", "\xff", "\x7f" } do
        local x = image.read(forge.file(jpeg.bytes:sub(1, at + k - 1) .. byte .. jpeg.bytes:sub(at + k + 1)))
        assert.equal(240, x:numel())
      end
    end
  end)
end)

describe("a PNG's eXIf", function()
  after_each(forge.clean)

  -- 2 rows of 3 pixels and what each orientation shows, by the definition of EXIF 2.3, 4.6.4
  local rows = { "\1\2\3", "\4\5\6" }
  local upright = {
    { { 1, 2, 3 }, { 4, 5, 6 } }, { { 3, 2, 1 }, { 6, 5, 4 } }, { { 6, 5, 4 }, { 3, 2, 1 } },
    { { 4, 5, 6 }, { 1, 2, 3 } }, { { 1, 4 }, { 2, 5 }, { 3, 6 } }, { { 4, 1 }, { 5, 2 }, { 6, 3 } },
    { { 6, 3 }, { 5, 2 }, { 4, 1 } }, { { 3, 6 }, { 2, 5 }, { 1, 4 } },
  }

  local function exif(order, orientation)
    local e = order == "II" and "<" or ">"
    return order .. (e .. "I2I4I2I2I2I4I2I2I4"):pack(42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
  end

  local function flat(path, options)
    local x, out = assert(image.read(path, nil, options)), {}
    for i, line in ipairs(x:totable()) do
      out[i] = {}
      for j, pixel in ipairs(line) do out[i][j] = pixel[1] end
    end
    return out
  end

  it("turns it, in both byte orders, or not", function()
    for _, order in ipairs { "II", "MM" } do
      for orientation = 1, 8 do
        local path = forge.file(forge.png(3, 8, 0, rows, forge.chunk("eXIf", exif(order, orientation))))
        assert.same(upright[orientation], flat(path))
        assert.same(upright[1], flat(path, { upright = false }))
        local info = image.info(path)
        assert.same({ #upright[orientation], #upright[orientation][1] }, { info.height, info.width })
      end
    end
  end)

  it("moves whole pixels", function()
    local png = forge.png(2, 8, 6, { "\1\2\3\4\5\6\7\8" }, forge.chunk("eXIf", exif("MM", 6)))
    assert.same({ { { 1, 2, 3, 4 } }, { { 5, 6, 7, 8 } } }, assert(image.read(forge.file(png))):totable())
  end)
end)
