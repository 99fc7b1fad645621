-- All public names are documented, and the committed texts are those made from the
-- comments.
local doc = require "spec.support.doc"
local d = require "diffusion"
local printed = require "spec.support.printed"

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

describe("documentation", function()
  local entries, missing = doc.collect()

  it("there is for every public name", function()
    assert.equal("", table.concat(missing, ", "))
    assert(#entries > 250)
  end)

  for name, path in pairs(doc.paths) do
    it(path .. " is up to date: make doc", function()
      assert(doc[name](entries) == read(path), path .. " differs from what the comments say: make doc")
    end)
  end

  it("defines in Lua that compiles", function()
    assert(load(doc.definitions(entries)))
  end)

  it("names parameters as the functions do", function()
    local wrong = {}
    for _, e in ipairs(entries) do
      if e.mismatch then wrong[#wrong + 1] = e.mismatch end
    end
    assert.equal("", table.concat(wrong, "; "))
  end)

  it("has examples that run", function()
    local count = 0
    for _, e in ipairs(entries) do
      if e.usage then
        count = count + 1
        local chunk = assert(load(e.usage, "=" .. e.name, "t", setmetatable({ d = d }, { __index = _G })))
        printed(chunk)
      end
    end
    assert(count > 10)
  end)

  it("has an area in the overview for each name of d", function()
    local placed = {}
    for _, area in ipairs(require("diffusion.help").areas) do
      for name in area[2]:gmatch "%S+" do
        assert.is_nil(placed[name])
        placed[name] = true
        assert.not_nil(d[name], name)
      end
    end
    for name in pairs(d) do
      if name:sub(1, 1) ~= "_" then assert(placed[name], name .. " has no area in help.lua") end
    end
  end)
end)

describe("d.help", function()
  local text = require("diffusion.help").text

  it("lists what there is", function()
    local all = printed(d.help)
    assert.match("sampling", all)
    assert.match("load_model", all)
  end)

  it("finds names, however they are written", function()
    for _, word in ipairs { "q_sample", "process:q_sample", "p:q_sample" } do
      assert.match("closed form: q%(x_t | x_s%)", text(word))
    end
    assert.match("d%.schedule%.cosine%(.*", text "cosine")
    assert.match("d%.lr%.cosine%(", text "cosine")
    assert.match("^d%.lr%.cosine%(", text "lr.cosine")
  end)

  it("finds functions, tables and kinds of things", function()
    assert.equal(text "schedule.cosine", text(d.schedule.cosine))
    assert.equal(text "d.data.toy", text(d.data.toy))
    assert.equal(text "tensor:silu", text(d.zeros(1).silu))
    assert.match("  matmul +Matrix product", text(d.zeros(1)))
    assert.match("  rescale_zero_terminal_snr", text(d.schedule.linear()))
  end)

  it("shows the parameters and what comes back", function()
    local shown = text "q_sample"
    assert.match("takes\n", shown)
    assert.match("\n  eps%?: number|diffusion.tensor", shown)
    assert.match("returns\n", shown)
  end)

  it("suggests for a name that isn't there", function()
    assert.equal("nothing is called 'q_smaple'; did you mean 'q_sample'?", text "q_smaple")
    assert.match("d%.help%(%) lists", text "xyzzyplugh")
    assert.match("there is no help about a 'boolean'", text(true))
  end)
end)
