-- The arithmetic of the benchmarks is correct, and they detect differences between the
-- sides.
local d = require "diffusion"
local child = require "spec.support.child"

describe("what samplers cost", function()
  it("is measured of every one", function()
    local text, how = child.run("spec/bench/samplers.lua", { arguments = { "quick" } })
    assert.equal(0, how, text)
    for _, name in ipairs(d.sampler.names()) do
      assert.truthy(text:find("\n" .. name .. " +%d+%.%d+ +%d+%.%d +%d+"), name .. text)
    end
  end)
end)

describe("the speeds of a run", function()
  local path = package.path
  local record, speed_table

  setup(function()
    package.path = "spec/bench/?.lua;" .. path
    record, speed_table = require "record", require "speed_table"
  end)
  teardown(function() package.path = path end)

  local function old(name, times)
    return { name = name, date = "2020-01-01", version = "0.0.1", threads = "2", times = times }
  end

  it("replace the machine's own, and keep the date of all others", function()
    local w = { name = "small.train.high", way = "duel", threads = require "settings".threads }
    record.note(w, "pytorch", 1.234)
    record.note(w, "openvino", nil)
    local all = { old("A", { [w.name] = { pytorch = 9 } }), old("B", { [w.name] = { pytorch = 9 },
                  other = { pytorch = 8 } }), old("C", { [w.name] = { pytorch = 7 } }) }
    local file = os.tmpname()
    for _, name in ipairs { "A", "B", "B" } do
      record.write(file, all, { name = name, date = "2021-01-01", version = "0.2.0" })
    end
    local read = dofile(file)
    os.remove(file)
    assert.same(all, read)
    local seen = {}
    for i, one in ipairs(read) do seen[i] = one.name .. " " .. one.date end
    assert.same({ "B 2020-01-01", "C 2020-01-01", "A 2021-01-01", "B 2021-01-01" }, seen)
    assert.same({ other = { pytorch = 8 } }, read[1].times)
    assert.same({ [w.name] = { pytorch = 1.23 } }, read[4].times)
  end)

  it("make the table of README.md", function()
    local page <close> = assert(io.open "README.md")
    local text = page:read "a"
    assert.equal(text, speed_table.replace(text, require "speeds"), "run lua5.4 spec/bench/speed_table.lua")
  end)

  it("show the fastest peer, a dash for what is missing, and no row that nobody measured", function()
    local text = speed_table.text { old("A", { ["sd.unet.high"] = { pytorch = 3, openvino = 2 } }), old("B", {}) }
    assert.equal(3, select(2, text:gsub("[^\n]+", "")))
    assert.truthy(text:find("fastest peer | 2.0, –, –; – | – |", 1, true), text)
  end)
end)

describe("meetings that are kept", function()
  local path = package.path
  local keep, settings
  local w = { name = "sd.text.high", threads = "2" }

  setup(function()
    package.path = "spec/bench/?.lua;" .. path
    keep, settings = require "keep", require "settings"
    settings.keep = child.folder()
  end)
  teardown(function()
    package.path = path
    child.remove(settings.keep)
    settings.keep = nil
  end)

  it("gain what a later part of the run finds, and each opponent has its own", function()
    assert.same({}, keep.read(w, "pytorch"))
    keep.add(w, "pytorch", { agreed = 1 })
    keep.add(w, "pytorch", { ours = 2.5, ratio = 1.25 })
    assert.same({ agreed = "1", ours = "2.5", ratio = "1.25" }, keep.read(w, "pytorch"))
    assert.same({}, keep.read(w, "openvino"))
  end)

  it("stay nowhere unless a folder is named", function()
    local folder = settings.keep
    settings.keep = nil
    keep.add(w, "sdcpp", { agreed = 1 })
    settings.keep = folder
    assert.same({}, keep.read(w, "sdcpp"))
  end)
end)

describe("the benchmarks", function()
  local path = package.path
  local words, duel, flops, network, workloads

  setup(function()
    package.path = "spec/bench/?.lua;" .. path
    words, duel, flops = require "words", require "duel", require "flops"
    network, workloads = require "ours.network", require "workloads"
  end)
  teardown(function() package.path = path end)

  -- A workload in the form that a worker receives.
  local function told(name)
    for _, w in ipairs(workloads) do
      if w.name == name then
        local out = words.parse(words.format(w))
        out.image, out.batch = w.image, w.batch
        return out
      end
    end
  end

  it("say a workload in words and understand them", function()
    assert.same({ a = "1", list = "32,32,3", own_name = "x.y", empty = "" },
      words.parse(words.format { a = 1, list = { 32, 32, 3 }, own_name = "x.y", empty = {}, untold = { b = 1 } }))
    assert.same({ 32, 0.5 }, words.numbers "32,0.5")
  end)

  it("take the middle of what was measured", function()
    assert.equal(3, duel.median { 5, 1, 3 })
    assert.equal(2.5, duel.median { 4, 1, 2, 3 })
  end)

  it("count FLOPs: a network of products alone by its weights, a UNet also by its pixels", function()
    local mlp = d.mlp { dim = 2, hidden = 4, depth = 1 }
    -- time 4x4 twice; 2 to 4; two 4x4; out and gate 4 to 2
    assert.equal(2 * (4 * 16 + 8 + 2 * 8), flops.forward(mlp, { mult = nil }))
    local unet = d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1 }, blocks = 1, attention = {} }
    local conv = function(inp, out, kernel) return 2 * 16 * inp * out * kernel ^ 2 end
    local block = function(inp) -- to 4 channels, with the time as 16 numbers
      return conv(inp, 4, 3) + conv(4, 4, 3) + 2 * 16 * 4 + (inp ~= 4 and conv(inp, 4, 1) or 0)
    end
    local attention = conv(4, 12, 1) + conv(4, 4, 1) + 4 * 16 ^ 2 * 4
    local time = 2 * (4 * 16 + 16 * 16)
    assert.equal(time + 2 * conv(1, 4, 3) + block(4) + 2 * block(4) + attention + 2 * block(8),
      flops.forward(unet, { image = { 4, 4, 1 }, mult = "1" }))
  end)

  it("compose in Lua what d.unet is in C, to the bit", function()
    local w = told "demo.train.high"
    w.batch = 2
    d.manual_seed(0)
    local theirs = network.answers(w, network.make(w), true)
    w.net = "composed"
    local ours = network.make(w)
    assert.same({ outputs = 0, gradients = 0 }, network.compare(w, ours, theirs))
    theirs.out = theirs.out * 1.5
    assert.near(1 / 3, network.compare(w, ours, theirs).outputs, 1e-6)
  end)
end)
