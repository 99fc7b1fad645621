-- Pictures: PNG of every kind against files made by hand, JPEG, text, grids, the terminal.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local image = d.image

local function bytes_read(png, channels)
  return assert(image.read(forge.file(png), channels)):totable()
end

describe("PNG", function()
  after_each(forge.clean)

  it("comes in grey, RGB and with alpha", function()
    local grey = { { { 0 }, { 128 } }, { { 255 }, { 7 } } }
    assert.same(grey, bytes_read(forge.png(2, 8, 0, { "\0\x80", "\xff\7" })))
    assert.same({ { { 1, 2, 3 }, { 4, 5, 6 } } }, bytes_read(forge.png(2, 8, 2, { "\1\2\3\4\5\6" })))
    assert.same({ { { 1, 2 } } }, bytes_read(forge.png(1, 8, 4, { "\1\2" })))
    assert.same({ { { 1, 2, 3, 4 } } }, bytes_read(forge.png(1, 8, 6, { "\1\2\3\4" })))
  end)

  it("comes in 1, 2, 4 and 16 bits", function()
    assert.same({ { { 255 }, { 0 }, { 255 } } }, bytes_read(forge.png(3, 1, 0, { "\xa0" })))
    assert.same({ { { 0 }, { 85 }, { 255 } } }, bytes_read(forge.png(3, 2, 0, { "\x1c" })))
    assert.same({ { { 17 }, { 255 } } }, bytes_read(forge.png(2, 4, 0, { "\x1f" })))
    assert.same({ { { 0x12 }, { 0xff } } }, bytes_read(forge.png(2, 16, 0, { "\x12\x12\xff\xff" })))
    assert.same({ { { 1, 2, 3 } } }, bytes_read(forge.png(1, 16, 2, { "\1\1\2\2\3\3" })))
  end)

  it("comes with a palette, transparent or not", function()
    local palette = forge.chunk("PLTE", "\1\2\3\xff\xfe\xfd")
    assert.same({ { { 255, 254, 253 }, { 1, 2, 3 } } }, bytes_read(forge.png(2, 8, 3, { "\1\0" }, palette)))
    local clear = palette .. forge.chunk("tRNS", "\x40")
    local png = forge.png(2, 8, 3, { "\1\0" }, clear)
    assert.same({ { { 255, 254, 253, 255 }, { 1, 2, 3, 64 } } }, bytes_read(png))
  end)

  it("is turned to grey or RGB, transparent over white", function()
    assert.same({ { { 9, 9, 9 } } }, bytes_read(forge.png(1, 8, 0, { "\9" }), 3))
    local rgb = forge.png(3, 8, 2, { "\xff\0\0\0\xff\0\0\0\xff" })
    assert.same({ { { 76 }, { 150 }, { 29 } } }, bytes_read(rgb, 1))
    assert.same({ { { 255, 255, 255 }, { 1, 2, 3 } } },
      bytes_read(forge.png(2, 8, 6, { "\1\2\3\0\1\2\3\xff" }), 3))
    assert.same({ { { 155 } } }, bytes_read(forge.png(1, 8, 4, { "\x37\x80" }), 1)) -- 55/2 + 255/2
  end)

  it("is written and read back, to the byte", function()
    for channels = 1, 4 do
      local values = {}
      for i = 1, 5 * 7 * channels do values[i] = i * 37 % 256 end
      local x = core.tensor(values, { dtype = "u8" }):reshape(5, 7, channels)
      local path = forge.file ""
      assert(image.save(path, x))
      assert.same(x:totable(), assert(image.read(path)):totable())
      assert.same({ height = 5, width = 7, channels = channels, format = "png", text = {} }, image.info(path))
    end
  end)

  it("carries text", function()
    local path = forge.file ""
    local text = { Title = "A swiss roll", seed = 7, Comment = ("x"):rep(5000) }
    assert(image.save(path, core.zeros(1, 4, 4, 1), { text = text }))
    assert.same({ Title = "A swiss roll", seed = "7", Comment = text.Comment }, image.info(path).text)
    local x = assert(image.load(path))
    assert.same({ 4, 4, 1 }, x:shape())
    local numbers = { a = 1 / 3, b = 1.0, c = -2e-300, d = 2.0 ^ 53, e = math.mininteger, f = 5e-324, g = -0.0 }
    assert.is_true(image.save(path, x, { text = numbers }))
    for name, told in pairs(image.info(path).text) do
      assert.equal((">n"):pack(numbers[name]), (">n"):pack(tonumber(told)), name)
      assert.equal(math.type(numbers[name]), math.type(tonumber(told)), name)
    end
    assert.is_true(image.save(path, x, { text = { nan = 0 / 0, inf = -math.huge } }))
    assert.same({ nan = "nan", inf = "-inf" }, image.info(path).text)
    assert.has_error(function() image.save(path, x, { text = { [""] = "x" } }) end)
    assert.has_error(function() image.save(path, x, { text = { a = "b\0c" } }) end)
    assert.has_error(function() image.save(path, x, { txt = {} }) end)
  end)

  it("maps [-1, 1] onto 0..255 and back", function()
    local path = forge.file ""
    assert(image.save(path, core.tensor { { { -1 }, { 1 }, { 0 }, { -3 }, { 3 } } }))
    assert.same({ { { 0 }, { 255 }, { 128 }, { 0 }, { 255 } } }, assert(image.read(path)):totable())
    local x = assert(image.load(path)):totable()[1]
    assert.equal(-1, x[1][1])
    assert.equal(1, x[2][1])
    local all = {}
    for v = 0, 255 do all[v + 1] = v end
    local bytes = core.tensor(all, { dtype = "u8" })
    assert.same(all, image.to_bytes(image.to_float(bytes)):totable())
  end)

  it("answers what can't be written, and refuses what is no picture", function()
    local x = core.zeros(2, 2, 1)
    local done, message = image.save("/nowhere/x.png", x)
    assert.is_nil(done)
    assert.is_truthy(message:find "/nowhere/x.png")
    assert.has_error(function() image.save("/tmp/x.jpg", x) end)
    assert.has_error(function() image.save("/tmp/x.png", core.zeros(2, 2)) end)
    assert.has_error(function() image.save("/tmp/x.png", core.zeros(2, 2, 5)) end)
    assert.has_error(function() image.save("/tmp/x.png", core.zeros(2, 2, 2, 1)) end)
    assert.is_nil((image.load "/nowhere/x.png"))
    local none, why = image.load(forge.file "GIF89a")
    assert.is_nil(none)
    assert.is_truthy(why:find "a GIF, not a picture %(PNG or JPEG%)")
    assert.is_truthy(select(2, image.load(forge.file "\1\2\3")):find "neither PNG nor JPEG")
  end)
end)

describe("JPEG", function()
  it("is read within its own loss, or says that it isn't built in", function()
    local x, message = image.read "spec/fixtures/ramp.jpg" -- red 16 x, green 16 y, blue 128
    if not x then
      assert.is_truthy(message:find "not built in")
      return
    end
    assert.same({ 16, 16, 3 }, x:shape())
    for i, row in ipairs(x:totable()) do
      for j, pixel in ipairs(row) do
        assert.near(16 * (j - 1), pixel[1], 8)
        assert.near(16 * (i - 1), pixel[2], 8)
        assert.near(128, pixel[3], 8)
      end
    end
    assert.equal("jpeg", image.info("spec/fixtures/ramp.jpg").format)
  end)
end)

describe("resizing", function()
  local function fit(values, h, w)
    return core.picture_fit(core.tensor(values, { dtype = "u8" }), h, w):totable()
  end

  it("leaves its own size and constants alone", function()
    local x = { { { 1 }, { 200 }, { 3 } }, { { 40 }, { 5 }, { 60 } } }
    assert.same(x, fit(x, 2, 3))
    for _, size in ipairs { { 1, 1 }, { 3, 7 }, { 16, 16 } } do
      local y = core.picture_fit(core.full({ 5, 6, 3 }, 77, { dtype = "u8" }), size[1], size[2])
      assert.same({ 77, 77 }, { y:min():item(), y:max():item() })
    end
  end)

  it("is a mean over an area, linear between pixels", function()
    -- halved: a triangle of half width 2 around the middle of each pair, 3/4 3/4 1/4 of
    -- what lies inside
    local row = { { 0 }, { 40 }, { 40 }, { 160 } }
    assert.same({ { { 23 }, { 91 } } }, fit({ row, row }, 1, 2)) -- 160/7, 640/7
    -- doubled: weights 3/4 and 1/4, the ends as they are
    local line = { { 0 }, { 20 }, { 60 }, { 80 } }
    assert.same({ line, line }, fit({ { { 0 }, { 80 } } }, 2, 4))
  end)

  it("cuts to the form wanted, around the middle", function()
    local wide = { { { 1 }, { 2 }, { 3 }, { 4 } }, { { 5 }, { 6 }, { 7 }, { 8 } } }
    assert.same({ { { 2 }, { 3 } }, { { 6 }, { 7 } } }, fit(wide, 2, 2))
    local tall = { { { 1 } }, { { 2 } }, { { 3 } } }
    assert.same({ { { 2 } } }, fit(tall, 1, 1))
  end)
end)

describe("a grid", function()
  it("puts pictures in rows with seams", function()
    local x = core.tensor({ 1, 2, 3 }, { dtype = "u8" }):reshape(3, 1, 1, 1)
    local sheet = image.grid(x, { columns = 2, pad = 1 })
    assert.same({ { { 0 }, { 0 }, { 0 }, { 0 }, { 0 } }, { { 0 }, { 1 }, { 0 }, { 2 }, { 0 } },
      { { 0 }, { 0 }, { 0 }, { 0 }, { 0 } }, { { 0 }, { 3 }, { 0 }, { 0 }, { 0 } },
      { { 0 }, { 0 }, { 0 }, { 0 }, { 0 } } }, sheet:totable())
    assert.same({ 92, 122, 3 }, image.grid(core.zeros(12, 28, 28, 3), { columns = 4 }):shape())
    assert.same({ 2, 2, 1 }, image.grid(core.zeros(4, 1, 1, 1), { pad = 0 }):shape())
    assert.equal(-1, image.grid(core.zeros(1, 1, 1, 1)):min():item())
    assert.same({ { { 1 }, { 1 }, { 2 }, { 2 }, { 3 }, { 3 } }, { { 1 }, { 1 }, { 2 }, { 2 }, { 3 }, { 3 } } },
      image.grid(x, { columns = 3, pad = 0, scale = 2 }):totable())
  end)

  it("refuses what is no batch", function()
    assert.has_error(function() image.grid(core.zeros(2, 2, 1)) end)
    assert.has_error(function() image.grid(core.zeros(0, 2, 2, 1)) end)
    assert.has_error(function() image.grid(core.zeros(1, 2, 2, 1), { colums = 2 }) end)
  end)
end)

-- A file's chunks, { type, data } in order, each checksum proved.
local function chunks_of(bytes)
  local list, at = {}, 9
  repeat
    local n, type = (">I4c4"):unpack(bytes, at)
    local data = bytes:sub(at + 8, at + 7 + n)
    assert.equal(forge.chunk(type, data), bytes:sub(at, at + 11 + n))
    list[#list + 1] = { type = type, data = data }
    at = at + 12 + n
  until type == "IEND"
  assert.equal(#bytes + 1, at)
  return list
end

-- Reads the animation by the APNG specification: the number of plays, and for each frame
-- its fcTL and its pixels, as a separate PNG.
local function frames_of(path)
  local bytes = forge.bytes_of(path)
  local head, plays, count, frames, number = "", nil, nil, {}, 0
  for _, c in ipairs(chunks_of(bytes)) do
    if c.type == "acTL" then count, plays = (">I4I4"):unpack(c.data)
    elseif c.type == "fcTL" or c.type == "fdAT" then
      assert.equal(number, ((">I4"):unpack(c.data)))
      number = number + 1
      if c.type == "fcTL" then frames[#frames + 1] = { control = c.data, pixels = "" }
      else frames[#frames].pixels = frames[#frames].pixels .. c.data:sub(5) end
    elseif c.type == "IDAT" then
      assert.equal(1, #frames) -- the still picture is the first frame
      frames[1].pixels = frames[1].pixels .. c.data
    elseif c.type ~= "IEND" then head = head .. forge.chunk(c.type, c.data) end
  end
  assert.equal(count, #frames)
  for _, frame in ipairs(frames) do
    local png = bytes:sub(1, 8) .. head .. forge.chunk("IDAT", frame.pixels) .. forge.chunk("IEND", "")
    frame.x = assert(image.read(forge.file(png)))
  end
  return frames, plays
end

describe("an animation", function()
  after_each(forge.clean)

  local function noise(...)
    return core.randint(0, 255, { ... }):to "u8"
  end

  it("holds every frame to the byte, counted from 0", function()
    for channels = 1, 4 do
      local x, path = noise(3, 7, 5, channels), forge.file ""
      assert(image.animate(path, x, { delay = 0.25, loop = 2 }))
      local frames, plays = frames_of(path)
      assert.equal(2, plays)
      assert.equal(3, #frames)
      for i, frame in ipairs(frames) do
        local control = { (">I4I4I4I4I2I2BB"):unpack(frame.control, 5) }
        assert.same({ 5, 7, 0, 0, 250, 1000, 0, 0, 27 }, control)
        assert.same(x[i]:totable(), frame.x:totable())
      end
      assert.same(x[1]:totable(), image.read(path):totable()) -- for viewers without animation
    end
  end)

  it("takes lists, of pictures and of batches, and a delay for each", function()
    local path, a, b = forge.file "", noise(4, 4, 1), noise(4, 4, 1)
    assert(image.animate(path, { image.to_float(a), image.to_float(b) }, { delay = { 0, 65 } }))
    local frames, plays = frames_of(path)
    assert.equal(0, plays)
    assert.same({ a:totable(), b:totable() }, { frames[1].x:totable(), frames[2].x:totable() })
    assert.equal(0, ((">I2"):unpack(frames[1].control, 21)))
    assert.equal(65000, ((">I2"):unpack(frames[2].control, 21)))
    local batch = noise(3, 2, 2, 3)
    assert(image.animate(path, { batch }, { columns = 3 }))
    assert.same(image.grid(batch, { columns = 3 }):totable(), frames_of(path)[1].x:totable())
  end)

  it("says what is wrong, at the caller's line", function()
    local path, x = forge.file "", noise(2, 3, 3, 1)
    local function refused(message, ...)
      local ok, why = pcall(function(...) image.animate(...) end, ...)
      assert.is_false(ok)
      assert.equal(message, (why:gsub("^.-image_spec.lua:%d+: ", "")))
    end
    refused("animate: no frames", path, {})
    refused("animate: [F,H,W,C] or [F,B,H,W,C] expected, got [3,3,1]", path, x[1])
    refused("animate: a list of pictures or a tensor [F,H,W,C] expected, got integer", path, 3)
    refused("animate: frame 2 is [2,3,1], the first is [3,3,1]", path, { x[1], x[1]:narrow(1, 1, 2) })
    refused("animate: 3 delays for 2 frames", path, x, { delay = { 1, 1, 1 } })
    refused("animate: a delay is 0 to 65 seconds, got 66", path, x, { delay = 66 })
    refused("animate: pictures are written as PNG; a.gif names another format", "a.gif", x)
    local done, why = image.animate("/nowhere/a.png", x)
    assert.is_nil(done)
    assert.is_truthy(why:find "/nowhere/a.png")
  end)
end)

describe("the terminal", function()
  local half = core.tensor { { { -1 }, { 1 } }, { { 1 }, { -1 } } }

  it("draws plain signs, dark to light, two to a pixel", function()
    assert.equal("  @@\n@@\n", image.draw(half, { style = "ascii" }))
    assert.equal("swiss\n  @@\n@@\n", image.draw(half, { style = "ascii", label = "swiss" }))
    assert.equal("==\n", image.draw(half, { style = "ascii", width = 3 }))
  end)

  it("draws half blocks, two pixels to a letter", function()
    assert.equal("\27[38;2;0;0;0m\27[48;2;255;255;255m▀\27[38;2;255;255;255m\27[48;2;0;0;0m▀\27[0m\n",
      image.draw(half, { style = "truecolor" }))
    assert.equal("\27[38;5;16m\27[48;5;231m▀\27[38;5;231m\27[48;5;16m▀\27[0m\n",
      image.draw(half, { style = "256" }))
  end)

  it("puts a batch in columns and shrinks what is too wide", function()
    local text = image.draw(core.ones(4, 2, 2, 1), { style = "ascii", columns = 2 })
    assert.equal(7, select(2, text:gsub("\n", "")))
    text = image.draw(core.ones(50, 200, 3), { style = "ascii", width = 40 })
    for line in text:gmatch "[^\n]+" do assert.equal(40, #line) end
    assert.equal(5, select(2, text:gsub("\n", "")))
  end)

  it("writes no escapes where there is no terminal", function()
    local script = forge.file [[
      local d = require "diffusion"
      d.image.show(d.zeros(2, 8, 8, 1), { columns = 2, label = "x" })]]
    local run = io.popen(("COLORTERM=truecolor LUA_PATH='%s' LUA_CPATH='%s' lua5.4 %s"):format(package.path,
      package.cpath, script))
    local text = run:read "a"
    run:close()
    forge.clean()
    assert.is_truthy(text:find "^x\n")
    assert.is_nil(text:find "\27")
    assert.is_truthy(#text > 8 * 16)
  end)
end)
