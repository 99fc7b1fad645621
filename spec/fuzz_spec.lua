-- Damaged files for every reader, a few of those that `make fuzz` tries. Files that once
-- mattered are in spec/fuzz/corpus.
local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"
local driver = dofile "spec/fuzz/driver.lua"
local mutate = require "spec.support.mutate"

local here = assert(io.popen "pwd"):read "l"

describe("damaged files", function()
  it("are read by no parser, or well", function()
    local folder = child.folder()
    local out, code = child.run(here .. "/spec/fuzz/parsers.lua", { folder = here, arguments = { "150" },
      env = "DIFFUSION_BUILD=" .. child.quote(folder) })
    child.remove(folder)
    assert.equal(0, code, out)
    assert.is_truthy(out:find "safetensors +150 cases, +%d+ read, +%d+ seeds, 0 faults")
  end)

  it("that were found to matter are read, or refused with a sentence", function()
    local readers = { png = d.image.load, chunks = d.image.info, jpeg = d.image.load, segments = d.image.info,
      idx = d.data.idx, gzip = d.data.idx, map = d.load, printable = d.load }
    local count = 0
    for name, read in pairs(readers) do
      for _, file in ipairs(assert(core.list("spec/fuzz/corpus/" .. name))) do
        local value, message = read("spec/fuzz/corpus/" .. name .. "/" .. file)
        assert(value or type(message) == "string", file)
        count = count + 1
      end
    end
    assert(count > 100, count)
  end)
end)

describe("the driver of parsers", function()
  local function fault_of(read, row)
    row = row or {}
    row.read = read
    return (driver.run(row, "some bytes"))
  end

  it("finds nothing wrong with values and sentences", function()
    assert.is_nil(fault_of(function() return 1 end))
    assert.is_nil(fault_of(function() return false end))
    assert.is_nil(fault_of(function() return nil, "a good sentence" end))
  end)

  it("finds errors, and answers without a sentence", function()
    assert.matches("raised: .*boom", fault_of(function() error "boom" end))
    assert.matches("raised", fault_of(function() return nil + 1 end)) -- luacheck: ignore
    assert.matches("no sentence: nil", fault_of(function() end))
    assert.matches("a line of the library", fault_of(function() return nil, "lua/diffusion/a.lua:3: nil value" end))
    assert.matches("can't be printed", fault_of(function() return nil, "\27[31m is red" end))
    assert.matches("not enough memory", fault_of(function() return nil, "not enough memory" end))
  end)

  it("finds memory that no file of the size warrants", function()
    local function lua() return #("x"):rep(2 << 20) end
    local function tensors() return d.zeros(1 << 19):numel() end
    assert.matches("bytes of Lua for a file of 10", fault_of(lua))
    assert.matches("bytes of tensors for a file of 10", fault_of(tensors))
    assert.is_nil(fault_of(lua, { room = 4 << 20 }))
    assert.is_nil(fault_of(tensors, { core = 1 << 20 }))
  end)
end)

describe("damage", function()
  it("follows from its seed, and differs from seed to seed", function()
    local seen, same = {}, 0
    for seed = 1, 100 do
      local text = mutate.text('{"a": [1, 22, 333]}', mutate.random(seed), { "word", "{" })
      assert.equal(text, mutate.text('{"a": [1, 22, 333]}', mutate.random(seed), { "word", "{" }))
      same = same + (seen[text] and 1 or 0)
      seen[text] = true
    end
    assert(same < 30, same)
  end)
end)
