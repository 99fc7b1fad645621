-- The command: scripts get their arguments, a prompt survives errors, and refusals are
-- plain.
local lua = arg[-1]

-- Runs the command with `words`, `input` at its prompt; gives what it wrote, and success.
local function command(words, input)
  local typed = os.tmpname()
  local file <close> = assert(io.open(typed, "w"))
  file:write(input or ""):flush()
  local pipe = assert(io.popen(("%s lua/diffusion/cli.lua %s < %s 2>&1"):format(lua, words, typed)))
  local text = pipe:read "a"
  local ok = pipe:close()
  os.remove(typed)
  return text, ok == true
end

describe("the command", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  local function script(text)
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    return path
  end

  it("runs a script with its arguments", function()
    local text, ok = command(script "print(#arg, arg[1], ...)" .. " one two")
    assert.equal("2\tone\tone\ttwo\n", text)
    assert.is_true(ok)
  end)

  it("fails with a script that fails, and says where", function()
    local text, ok = command(script "\nerror 'no'")
    assert.truthy(text:find(path .. ":2: no", 1, true))
    assert.is_false(ok)
  end)

  it("refuses what it doesn't know", function()
    local text, ok = command "--nope"
    assert.truthy(text:find("unknown option --nope", 1, true))
    assert.is_false(ok)
    text = command "'--a\27[31m'"
    assert.truthy(text:find([[unknown option --a\x1b[31m]], 1, true))
    text, ok = command "smaple model"
    assert.truthy(text:find("there is no command or script 'smaple'; did you mean 'sample'?", 1, true))
    assert.is_false(ok)
    text, ok = command "/nowhere/x.lua"
    assert.truthy(text:find("/nowhere/x.lua", 1, true))
    assert.is_false(ok)
  end)

  it("prints its version, and what the machine is", function()
    local d = require "diffusion"
    assert.equal(d._VERSION .. "\n", command "--version")
    local text, ok = command "--info"
    assert.truthy(text:find("kernels", 1, true))
    assert.is_true(ok)
  end)

  it("reads expressions, statements over several lines, and goes on after errors", function()
    local text = command("", "1 + 1\nx = {\n5 }\nerror 'no'\nfor\n= 3\nx[1]\nd._VERSION\n")
    assert.truthy(text:find "> 2\n")
    assert.truthy(text:find "stdin:1: no\n")
    assert.truthy(text:find "> 5\n")
    assert.truthy(text:find("> " .. require "diffusion"._VERSION .. "\n", 1, true))
  end)
end)
