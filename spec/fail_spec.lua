-- Errors: where they are raised, and what becomes nil and a message.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"

local function refused(fn, ...)
  local fine, message = pcall(fn, ...)
  assert.is_false(fine)
  return message
end

-- A user's program whose second line calls fn.
local program = assert(load("local function call(fn, ...)\nfn(...)\nend\ncall(...)", "=user"))
local function user(...) return refused(program, ...) end

describe("an error", function()
  it("is raised at the user's line, with foreign names printable and NaN without a sign", function()
    assert.equal("user:2: no name '\\x1b' at nan", user(fail.raise, "no name '%s' at %s", "\27", "-nan"))
  end)

  it("of the core loses the number and name of the core's argument", function()
    assert.matches("^user:2: number expected, got string", user(fail.call, core.randperm, "x"))
    assert.equal("user:2: short", user(fail.call, error, "short", 0))
    assert.equal("elsewhere:7: placed", user(fail.call, error, "elsewhere:7: placed", 0))
  end)

  it("in what a file says is nil and a message", function()
    assert.same({ nil, "no header" }, { fail.try(error, "header.lua:3: no header", 0) })
    assert.same({ 1, 2 }, { fail.try(function(...) return ... end, 1, 2) })
  end)

  it("for want of memory is nobody's answer", function()
    assert.equal("not enough memory", refused(fail.try, error, "not enough memory", 0))
    assert.equal("not enough memory", refused(fail.pcall, error, "not enough memory", 0))
    assert.same({ false, "other" }, { fail.pcall(error, "other", 0) })
  end)

  it("of Ctrl-C is nobody's answer, nor a fault of a file", function()
    assert.equal("x.lua:3: interrupted!", refused(fail.try, error, "x.lua:3: interrupted!", 0))
    assert.equal("interrupted!", refused(fail.pcall, error, "interrupted!", 0))
  end)
end)

describe("a value in a message", function()
  it("is itself, a tensor's shape, or its kind", function()
    local freed = core.tensor{ 1 }
    freed:free()
    local shown = {}
    for i, value in ipairs{ 2, 2.5, true, "a\nb", core.tensor{ 1, 2 }, freed, print, 0 / 0 } do
      shown[i] = kind.shown(value)
    end
    assert.same({ "2", "2.5", "true", "'a\\nb'", "a tensor [2]", "a freed tensor", "function", "nan" }, shown)
    assert.equal("nil", kind.shown(nil))
  end)
end)

describe("a parser", function()
  local fault = parser.fault "box"
  local function parse(depth)
    if depth == 0 then fault("no lid on '%s'", "\27") end
    parse(depth - 1)
    return 1
  end

  it("returns its fault as nil and a message, however deep it is", function()
    assert.same({ nil, "box: no lid on '\\x1b'" }, { parser.run(parse, 3) })
    assert.same({ 7, 8 }, { parser.run(function(...) return ... end, 7, 8) })
    assert.same({ nil, "gone" }, { parser.run(function() return parser.need(nil, "gone") end) })
  end)

  it("raises every other error again", function()
    assert.equal("slip", refused(parser.run, error, "slip", 0))
    local own = { message = "not a fault" }
    assert.equal(own, refused(parser.run, error, own))
  end)
end)
