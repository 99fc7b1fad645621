-- Data sets and their batches: their contents, that every example comes as often as
-- promised, and that iteration resumes exactly.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local data, image = d.data, d.image

-- Images whose only pixel is the example's number.
local function numbered(n)
  local values = {}
  for i = 1, n do values[i] = i end
  return data.set { x = core.tensor(values, { dtype = "u8" }):reshape(n, 1, 1, 1), class = values }
end

-- The numbers that come, batch by batch.
local function walk(batches, most)
  local out = {}
  for step, _, class in batches do
    out[#out + 1] = class:totable()
    if step == most then break end
  end
  return out
end

local function counts(list)
  local count = {}
  for _, batch in ipairs(list) do
    for _, i in ipairs(batch) do count[i] = (count[i] or 0) + 1 end
  end
  return count
end

describe("batches", function()
  it("bring every example once an epoch, in another order each, images beside their classes", function()
    local set = numbered(100)
    local b = set:batches { size = 20, epochs = 3, seed = 1 }
    assert.equal(15, b.steps)
    local epochs = { {}, {}, {} }
    for step, x0, class in b do
      assert.same({ 20, 1, 1, 1 }, x0:shape())
      assert.same(image.to_bytes(x0):flatten():totable(), class:totable())
      assert.equal("i64", class:dtype())
      local epoch = epochs[(step - 1) // 5 + 1]
      for _, i in ipairs(class:totable()) do epoch[#epoch + 1] = i end
    end
    for _, epoch in ipairs(epochs) do
      local sorted = { table.unpack(epoch) }
      table.sort(sorted)
      for i = 1, 100 do assert.equal(i, sorted[i]) end
    end
    assert.not_same(epochs[1], epochs[2])
    assert.not_same(epochs[2], epochs[3])
  end)

  it("end with a short one in epochs, are all full in steps", function()
    local set = numbered(10)
    local list = walk(set:batches { size = 4, seed = 1 })
    assert.same({ 4, 4, 2 }, { #list[1], #list[2], #list[3] })
    list = walk(set:batches { size = 4, steps = 5, seed = 1 })
    for k = 1, 5 do assert.equal(4, #list[k]) end
    for i = 1, 10 do assert.equal(2, counts(list)[i]) end
    assert.same({}, walk(set:batches { size = 4, steps = 0 }))
  end)

  it("may be larger than the set", function()
    local list = walk(numbered(3):batches { size = 7, steps = 3, seed = 1 })
    assert.equal(7, #list[2])
    for i = 1, 3 do assert.equal(7, counts(list)[i]) end
    assert.equal(3, #walk(numbered(3):batches { size = 7 })[1])
  end)

  it("come in order without shuffle", function()
    assert.same({ { 1, 2, 3 }, { 4, 5, 1 }, { 2, 3, 4 } },
      walk(numbered(5):batches { size = 3, steps = 3, shuffle = false }))
  end)

  it("are a function of the seed", function()
    local set = numbered(50)
    local function of(seed) return walk(set:batches { size = 10, steps = 10, seed = seed }) end
    assert.same(of(1), of(1))
    assert.not_same(of(1), of(2))
    core.manual_seed(5)
    local a, b = walk(set:batches { size = 10 }), walk(set:batches { size = 10 })
    core.manual_seed(5)
    assert.same(a, walk(set:batches { size = 10 }))
    assert.not_same(a, b)
  end)

  it("go on from one d.scope to the next", function()
    local function all(scope)
      local out = {}
      local batches = numbered(20):batches { size = 5, steps = 8, seed = 1 }
      for _ = 1, 8 do
        local _, x0 = scope(batches)
        out[#out + 1] = x0:bytes()
      end
      return table.concat(out)
    end
    assert.equal(all(function(f) return f() end), all(d.scope))
  end)

  it("go on where they were left, by step or by state", function()
    local set = numbered(23)
    local function new(seed) return set:batches { size = 4, steps = 20, seed = seed } end
    local whole = walk(new(3))
    local first = new(3)
    walk(first, 7)
    local state = first:state()
    local rest = { table.unpack(whole, 8) }
    assert.same(rest, walk(first))
    local second = new(9)
    assert.is_true(second:load_state(state))
    assert.equal(7, second.step)
    assert.same(rest, walk(second))
    local third = new(3)
    third.step = 7
    assert.same(rest, walk(third))
    local other = numbered(22):batches { size = 4, steps = 20 }
    local done, message = other:load_state(state)
    assert.is_nil(done)
    assert.is_truthy(message:find "n = 23")
  end)

  it("mirror each image or not, at even odds, whatever the batch", function()
    local bytes = {}
    for i = 1, 400 do bytes[2 * i - 1], bytes[2 * i] = 10, 20 end
    local set = data.set { x = core.tensor(bytes, { dtype = "u8" }):reshape(400, 1, 2, 1) }
    local function mirrored(size)
      local out = {}
      for _, x0, class in set:batches { size = size, seed = 2, flip = true } do
        assert.is_nil(class)
        for _, x in ipairs(image.to_bytes(x0):totable()) do
          assert.equal(30, x[1][1][1] + x[1][2][1])
          out[#out + 1] = x[1][1][1] == 20 and 1 or 0
        end
      end
      return out
    end
    local one, sum = mirrored(400), 0
    for _, v in ipairs(one) do sum = sum + v end
    assert.is_true(math.abs(sum - 200) < 50, "400 fair coins")
    assert.same(one, mirrored(7))
  end)

  it("mirror floats as they mirror bytes", function()
    local bytes = {}
    for i = 1, 60 * 2 * 3 do bytes[i] = i * 7 % 256 end
    local x = core.tensor(bytes, { dtype = "u8" }):reshape(60, 2, 3, 1)
    local a = data.set { x = x }:batches { size = 60, seed = 4, flip = true }
    local b = data.set { x = image.to_float(x) }:batches { size = 60, seed = 4, flip = true }
    local _, of_bytes = a()
    local _, of_floats = b()
    assert.same(of_bytes:totable(), of_floats:totable())
  end)

  it("take numbers of any type", function()
    local set = data.set { x = core.tensor({ { 1, 2 }, { 3, 4 } }, { dtype = "f64" }) }
    local _, x0 = set:batches { size = 2, shuffle = false }()
    assert.same({ { 2, 4 }, { 6, 8 } }, (x0 * 2):totable())
  end)

  it("mirror rows pixel by pixel, wide ones too", function()
    local n, W, C = 2, 500, 3
    local bytes = {}
    for i = 1, n * W * C do bytes[i] = i * 31 % 256 end
    local x = core.tensor(bytes, { dtype = "u8" }):reshape(n, 1, W, C)
    local index, flip = core.tensor({ 2, 1 }, { dtype = "i64" }), core.tensor({ 1, 0 }, { dtype = "u8" })
    local y = core.gather_images(x, index, flip)
    local a, b = x:totable(), image.to_bytes(y):totable()
    for j = 1, W do assert.same(a[2][1][W + 1 - j], b[1][1][j]) end
    assert.same(a[1], b[2])
  end)

  it("refuse misuse", function()
    local set = numbered(5)
    assert.has_error(function() set:batches {} end)
    assert.has_error(function() set:batches { size = 0 } end)
    assert.has_error(function() set:batches { size = 2, setps = 3 } end)
    assert.has_error(function() set:batches { size = 2, steps = 3, epochs = 1 } end)
    assert.has_error(function() data.toy.moons(5):batches { size = 2, flip = true } end)
    local empty = data.set { x = core.zeros({ 0, 2 }) }
    assert.has_error(function() empty:batches { size = 2 } end)
    assert.has_error(function() core.gather_images(set.x, core.tensor({ 6 }, { dtype = "i64" })) end)
    assert.has_error(function() core.gather_images(set.x, core.tensor({ 0 }, { dtype = "i64" })) end)
    assert.has_error(function() data.set { x = core.zeros(3, 2), class = { 1, 2 } } end)
    assert.has_error(function() data.set { x = core.zeros(2, 2), class = { 0, 1 } } end)
  end)
end)

describe("toy sets", function()
  local classes = { moons = 2, eight_gaussians = 8, spiral = 2 }
  for _, name in ipairs { "swiss_roll", "moons", "eight_gaussians", "checkerboard", "spiral" } do
    it(name .. " has mean 0 and variance 1, with noise and without", function()
      local n = 20000
      for _, noise in ipairs { 0, 0.3 } do
        local set = data.toy[name](n, { seed = 1, noise = noise })
        assert.same({ n, 2 }, set.x:shape())
        assert.equal(n, set.n)
        assert.equal(classes[name], set.classes)
        local mean = set.x:mean(1):totable()
        assert.near(0, mean[1], 5 / math.sqrt(n) * 1.3)
        assert.near(0, mean[2], 5 / math.sqrt(n) * 1.3)
        local variance = (set.x:var(1):totable()[1] + set.x:var(1):totable()[2]) / 2
        assert.near(1, variance, 0.03)
      end
    end)

    it(name .. " is a function of the seed, fewer points being the first of more", function()
      local function points(n, seed) return data.toy[name](n, { seed = seed }).x:totable() end
      local many = points(50, 7)
      assert.same({ table.unpack(many, 1, 20) }, points(20, 7))
      assert.not_same(many, points(50, 8))
      core.manual_seed(3)
      local a, b = data.toy[name](10).x:totable(), data.toy[name](10).x:totable()
      core.manual_seed(3)
      assert.same(a, data.toy[name](10).x:totable())
      assert.not_same(a, b)
    end)
  end

  it("lie where their formulas say, without noise", function()
    for _, p in ipairs(data.toy.eight_gaussians(100, { seed = 1, noise = 0 }).x:totable()) do
      assert.near(2, p[1] ^ 2 + p[2] ^ 2, 1e-5)
    end
    for _, p in ipairs(data.toy.checkerboard(1000, { seed = 1 }).x:totable()) do
      local x, y = math.floor(p[1] * 4 / math.sqrt(12)), math.floor(p[2] * 4 / math.sqrt(12))
      assert.equal(0, (x + y) % 2)
      assert.is_true(x >= -2 and x < 2 and y >= -2 and y < 2)
    end
    for _, p in ipairs(data.toy.spiral(100, { seed = 1, noise = 0 }).x:totable()) do
      local r, angle = math.sqrt(p[1] ^ 2 + p[2] ^ 2) * 1.5 * math.pi, math.atan(p[2], p[1])
      assert.near(0, math.sin(angle - r), 1e-4) -- one arm or the other
    end
    assert.equal(0, data.toy.moons(0).n)
    assert.has_error(function() data.toy.moons(-1) end)
    assert.has_error(function() data.toy.moons(10, { noise = 1 }) end)
  end)
end)

describe("the digits", function()
  it("are the 1,797 of UCI", function()
    local set = data.digits()
    assert.same({ 1797, 8, 8, 1 }, set.x:shape())
    assert.equal(10, set.classes)
    assert.equal("9", set.names[10])
    local count = {}
    for _, c in ipairs(set.class:totable()) do count[c] = (count[c] or 0) + 1 end
    assert.same({ 178, 182, 177, 183, 181, 182, 181, 179, 174, 180 }, count)
    assert.equal(1, set.class:totable()[1])
    -- the first row of the first digit is 0 0 5 13 9 1 0 0 of 16
    local row = set.x:select(1, 1):select(1, 1):flatten():totable()
    assert.same({ 0, 0, 80, 207, 143, 16, 0, 0 }, row)
    assert.equal("digits: 1797 of [8,8,1] u8, 10 classes", tostring(set))
  end)
end)

describe("sets from files", function()
  after_each(forge.clean)

  local function write(path, bytes)
    local f <close> = assert(io.open(path, "wb"))
    f:write(bytes)
  end

  it("IDX images and labels, gzipped or not", function()
    local dir = forge.folder()
    write(dir .. "/train-images-idx3-ubyte.gz", forge.gzip(forge.idx({ 3, 2, 2 }, "abcdefghijkl")))
    write(dir .. "/train-labels-idx1-ubyte", forge.idx({ 3 }, "\0\9\4"))
    local set = assert(data.fashion_mnist(dir))
    assert.same({ 3, 2, 2, 1 }, set.x:shape())
    assert.same({ 1, 10, 5 }, set.class:totable())
    assert.equal("ankle boot", set.names[10])
    local none, message = data.fashion_mnist(dir, { split = "test" })
    assert.is_nil(none)
    assert.is_truthy(message:find "t10k" and message:find "dataset%-fashion%-mnist")
    write(dir .. "/train-labels-idx1-ubyte", forge.idx({ 3 }, "\0\10\4"))
    none, message = data.fashion_mnist(dir)
    assert.is_nil(none)
    assert.is_truthy(message:find "label 10, not in 0..9")
    write(dir .. "/train-labels-idx1-ubyte", forge.idx({ 2 }, "\0\1"))
    none, message = data.fashion_mnist(dir)
    assert.is_nil(none)
    assert.is_truthy(message:find "labels %[2%] for 3 images")
    set = assert(data.idx(dir .. "/train-images-idx3-ubyte.gz"))
    assert.is_nil(set.class)
  end)

  it("CIFAR-10's records: planes become pixels", function()
    local dir = forge.folder()
    local planes = ("\1"):rep(1024) .. ("\2"):rep(1024) .. ("\3"):rep(1023) .. "\4"
    write(dir .. "/test_batch.bin", "\9" .. planes .. "\0" .. planes)
    local set = assert(data.cifar10(dir, { split = "test" }))
    assert.same({ 2, 32, 32, 3 }, set.x:shape())
    assert.same({ 10, 1 }, set.class:totable())
    local first = set.x:totable()[1]
    assert.same({ 1, 2, 3 }, first[1][1])
    assert.same({ 1, 2, 4 }, first[32][32])
    assert.is_nil((data.cifar10(dir)))
    write(dir .. "/test_batch.bin", "\9" .. planes .. "x")
    local none, message = data.cifar10(dir, { split = "test" })
    assert.is_nil(none)
    assert.is_truthy(message:find "3074 bytes")
  end)

  it("a folder of pictures, a class a sub-folder", function()
    local dir = forge.folder()
    assert(os.execute(("mkdir %s/cat %s/dog %s/empty"):format(dir, dir, dir)))
    assert(image.save(dir .. "/cat/1.png", core.full({ 4, 4, 1 }, 100, { dtype = "u8" })))
    assert(image.save(dir .. "/cat/2.PNG", core.full({ 8, 4, 3 }, 50, { dtype = "u8" })))
    assert(image.save(dir .. "/dog/1.png", core.full({ 2, 6, 3 }, 200, { dtype = "u8" })))
    write(dir .. "/dog/notes.txt", "no picture")
    local set = assert(data.folder(dir, { size = 2, channels = 1 }))
    assert.same({ 3, 2, 2, 1 }, set.x:shape())
    assert.same({ 1, 1, 2 }, set.class:totable())
    assert.same({ "cat", "dog", "empty" }, set.names)
    assert.equal(3, set.classes)
    assert.same({ 100, 50, 200 }, set.x:select(2, 1):select(2, 1):flatten():totable())
    assert.same({ 3, 3, 5, 3 }, assert(data.folder(dir, { size = { 3, 5 } })).x:shape())
    local none, message = data.folder(dir)
    assert.is_nil(none)
    assert.is_truthy(message:find "give a size")
    write(dir .. "/dog/2.png", "no PNG")
    none, message = data.folder(dir, { size = 2 })
    assert.is_nil(none)
    assert.is_truthy(message:find "dog/2.png")
    none, message = data.folder(dir .. "/empty")
    assert.is_nil(none)
    assert.is_truthy(message:find "no PNG or JPEG")
    assert.is_nil((data.folder "/nowhere"))
    local flat = assert(data.folder(dir .. "/cat", { size = 2 }))
    assert.is_nil(flat.class)
    assert.equal(2, flat.n)
  end)
end)

describe("NumPy's files as sets", function()
  after_each(forge.clean)
  local six = ("<ffffff"):pack(1, 2, 3, 4, 5, 6)

  it("are examples, alone or with their classes", function()
    local set = assert(data.npy(forge.file(forge.npy("<f4", "(3, 2)", six))))
    assert.equal(3, set.n)
    assert.is_nil(set.class)
    local step, x0 = set:batches { size = 3, shuffle = false }()
    assert.same({ 1, { { 1, 2 }, { 3, 4 }, { 5, 6 } } }, { step, x0:totable() })
    local images = assert(data.npy(forge.file(forge.npy("|u1", "(2, 1, 3)", "abcdef"))))
    assert.same({ 2, 1, 3, 1 }, images.x:shape())
    for name, first in pairs { class = 1, labels = 2, y = 2 } do
      local both = assert(data.npy(forge.file(forge.zip {
        { "x.npy", forge.npy("<f4", "(3, 2)", six) },
        { name .. ".npy", forge.npy("<i8", "(3,)", ("<i8i8i8"):pack(1, 2, 1)) } }, ".npz")))
      assert.same({ first, first + 1, first }, both.class:totable())
    end
  end)

  it("say what they hold where it isn't evident", function()
    local set, message = data.npy(forge.file(forge.zip {
      { "b.npy", forge.npy("<f4", "(3, 2)", six) }, { "a.npy", forge.npy("<f4", "(3, 2)", six) } }, ".npz"))
    assert.is_nil(set)
    assert.matches("none of its arrays is named x, images, data; there are a, b, which d.data.arrays reads", message)
    set, message = data.npy(forge.file(forge.npy("|u1", "(2, 3)", "abcdef")))
    assert.is_nil(set)
    assert.matches("u8 %[2,3%]", message)
  end)
end)
