-- d.data.folder: which pictures belong to which class, and that none is dropped without a word.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local data, image = d.data, d.image

local dir
local function shell(format, ...) assert(os.execute((format:format(...)))) end

-- Pictures of one pixel by path, of the value given.
local function pictures(list)
  for path, value in pairs(list) do
    shell("mkdir -p '%s/%s'", dir, path:match "^(.*)/" or ".")
    assert(image.save(("%s/%s"):format(dir, path), core.full({ 1, 1, 1 }, value, { dtype = "u8" })))
  end
end

local function values(set) return set.x:flatten():totable() end

local function folder(options)
  options = options or {}
  options.channels = 1
  return data.folder(dir, options)
end

local function refused(options, ...)
  local set, message = folder(options)
  assert.is_nil(set)
  for _, word in ipairs { ... } do assert.is_truthy(message:find(word, 1, true), message) end
end

describe("a folder's classes", function()
  before_each(function() dir = forge.folder() end)
  after_each(forge.clean)

  it("are all its folders, by the bytes of their names, empty ones too", function()
    local names = { "B", "Z", "a", "a b", "a!", "a-b", "a.b", "aa", "b", "ä", "é" }
    table.sort(names) -- in the locale C, by bytes
    for i, name in ipairs(names) do
      shell("mkdir '%s/%s'", dir, name)
      if name ~= "a!" and name ~= "b" then pictures { [name .. "/1.png"] = i } end
    end
    local set = assert(folder())
    assert.same(names, set.names)
    assert.equal(11, set.classes)
    assert.same(values(set), set.class:totable())
    assert.equal(9, set.n)
  end)

  it("keep their numbers where one of them is emptied", function()
    pictures { ["a/1.png"] = 1, ["b/1.png"] = 2, ["c/1.png"] = 3 }
    assert.same({ 1, 2, 3 }, assert(folder()).class:totable())
    shell("rm '%s/a/1.png'", dir)
    local set = assert(folder())
    assert.same({ { 2, 3 }, { "a", "b", "c" } }, { set.class:totable(), set.names })
  end)

  it("take pictures further down where that is asked for", function()
    pictures { ["a/1.png"] = 1, ["a/in/deep/2.png"] = 2, ["a/in/3.png"] = 3, ["b/only/4.png"] = 4 }
    refused(nil, "3 pictures", "/a/in/3.png", "recursive = true")
    refused({ size = 1 }, "3 pictures")
    local set = assert(folder { recursive = true })
    assert.same({ 1, 3, 2, 4 }, values(set))
    assert.same({ { 1, 1, 1, 2 }, { "a", "b" } }, { set.class:totable(), set.names })
    set = assert(folder { skip = true })
    assert.same({ { 1 }, { 1 }, { "a", "b" } }, { values(set), set.class:totable(), set.names })
  end)

  it("leave none beside them without a word", function()
    pictures { ["a/1.png"] = 1, ["x.png"] = 2, ["y.PNG"] = 3 }
    refused(nil, "2 pictures", "/x.png", "classes = false")
    refused({ recursive = true }, "2 pictures", "/x.png")
    assert.same({ 1 }, values(assert(folder { skip = true })))
    refused({ classes = false }, "1 picture ", "/a/1.png", "recursive = true")
    local set = assert(folder { classes = false, recursive = true })
    assert.same({ 2, 3, 1 }, values(set))
    assert.is_nil(set.class)
    assert.is_nil(set.names)
  end)

  it("aren't made of folders without any picture", function()
    pictures { ["x.png"] = 2 }
    shell("mkdir -p '%s/notes/old'; echo hello > '%s/notes/a.txt'", dir, dir)
    local set = assert(folder())
    assert.same({ 2 }, values(set))
    assert.is_nil(set.class)
  end)

  it("say what is of other formats", function()
    pictures { ["a/1.png"] = 1 }
    shell("echo x > '%s/a/2.webp'; echo x > '%s/a/notes.txt'", dir, dir)
    refused(nil, "1 picture ", "/a/2.webp", "PNG nor JPEG")
    assert.same({ 1 }, values(assert(folder { skip = true })))
  end)

  it("don't count what is hidden", function()
    pictures { ["a/1.png"] = 1, ["a/._1.png"] = 9, [".git/2.png"] = 9, [".x.png"] = 9 }
    local set = assert(folder { recursive = true })
    assert.same({ { 1 }, { "a" } }, { values(set), set.names })
  end)

  it("follow links, to each folder once, in circles too", function()
    pictures { ["a/1.png"] = 1, ["b/2.png"] = 2 }
    shell("ln -s ../b/2.png '%s/a/2.png'; ln -s b '%s/c'; ln -s .. '%s/a/up'; ln -s . '%s/b/self'", dir, dir, dir, dir)
    local set = assert(folder { recursive = true })
    assert.same({ 1, 2, 2, 2 }, values(set))
    assert.same({ { 1, 1, 2, 3 }, { "a", "b", "c" } }, { set.class:totable(), set.names })
  end)

  it("are nothing where a picture can't be read", function()
    pictures { ["a/1.png"] = 1, ["b/1.png"] = 2 }
    shell("ln -s nowhere '%s/b/2.png'", dir)
    refused(nil, "/b/2.png")
    shell("rm '%s/b/2.png'; head -c 40 '%s/b/1.png' > '%s/b/2.jpg'", dir, dir, dir)
    refused(nil, "/b/2.jpg", "png", "40 bytes")
    shell("mkfifo '%s/b/0.png'", dir)
    refused(nil, "/b/0.png")
    assert.has_error(function() folder { size = { 3 } } end)
    assert.has_error(function() folder { size = { 3, 0.5 } } end)
  end)
end)
