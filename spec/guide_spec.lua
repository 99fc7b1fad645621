-- Guides at the prompt: found by name, wrapped to the terminal, listed, suggested.
local child = dofile "spec/support/child.lua"
local guide = require "diffusion.guide"
local help = require "diffusion.help"
local markdown = require "diffusion.markdown"
local typeset = require "diffusion.typeset"
local printed = require "spec.support.printed"
local d = require "diffusion"

local function columns(line) return utf8.len((line:gsub("\27%[%d*m", ""))) end
local function set(text, width, bold) return typeset.set(text, width or 80, bold, guide.call) end

describe("Markdown", function()
  it("is read into blocks", function()
    local blocks = markdown.blocks [[
# One *two*

A line
of
1000. And another.

- an item
  of two lines
- a second

1. first
2. second

| a | b |
|---|---|
| x \| y | `z` |

![alt](p.png)

```lua
# not a heading

x = 1
```
after]]
    assert.same({
      { kind = "heading", level = 1, text = "One *two*" },
      { kind = "paragraph", text = "A line of 1000. And another." },
      { kind = "list", ordered = false, items = { "an item of two lines", "a second" } },
      { kind = "list", ordered = true, items = { "first", "second" } },
      { kind = "table", head = { "a", "b" }, rows = { { "x | y", "`z`" } } },
      { kind = "picture", text = "alt", target = "p.png" },
      { kind = "code", language = "lua", text = "# not a heading\n\nx = 1" },
      { kind = "paragraph", text = "after" },
    }, blocks)
  end)

  it("has spans", function()
    assert.same({
      { kind = "plain", text = "a " }, { kind = "code", text = "x * y" }, { kind = "plain", text = ", " },
      { kind = "strong", text = "bold" }, { kind = "plain", text = " 2 * 3 * 4 [1, 2] " },
      { kind = "emphasis", text = "soft" }, { kind = "plain", text = " " },
      { kind = "link", text = "there", target = "data.md" }, { kind = "plain", text = "." },
    }, markdown.spans "a `x * y`, **bold** 2 * 3 * 4 [1, 2] *soft* [there](data.md).")
    assert.equal("https://x.y", markdown.spans("<https://x.y>")[1].target)
  end)

  it("with an end missing ends anyway", function()
    for _, text in ipairs { "```lua\nx", "`open", "**open", "[a](b", "|a|\n|-", "- ", "", "\n\n", "#", "![a](b" } do
      assert.is_table(markdown.blocks(text))
      assert.is_string(set(text))
    end
  end)
end)

describe("a page in a terminal", function()
  it("has headings in bold, or underlined where there is no bold type", function()
    assert.equal("\27[1mA head\27[0m\n\ntext", set("# A head\n\ntext", 80, true))
    assert.equal("A head\n======\n\ntext", set "# A head\n\ntext")
    assert.equal("A head\n------", set "## A head")
  end)

  it("is wrapped, with what touches in one word", function()
    assert.equal("one two\n`three`,\nfour", set("one two `three`, four", 8))
    assert.equal("  - one two\n    three", set("- one two three", 11))
    assert.equal("  1. one\n  2. two", set "1. one\n2. two")
    assert.equal("\27[1mone\27[0m \27[1mtwo\27[0m.", set("**one two**.", 80, true))
  end)

  it("has tables in columns, or as lists where they don't fit", function()
    local text = "| a | the other |\n|---|---|\n| one | " .. ("word "):rep(12) .. "|"
    assert.equal("  a    the other\n  ------------------------\n" ..
      "  one  word word word word\n       word word word word\n       word word word word", set(text, 26))
    assert.equal("  one\n    the other:\n      word word\n      word word\n      word word\n" ..
      "      word word\n      word word\n      word word", set(text, 16))
  end)

  it("tells links by the call or the address", function()
    assert.equal('see d.help "samplers"', set "see [samplers](samplers.md)")
    assert.equal('see d.help "guide data"', set "see [data](data.md)")
    assert.equal('here (d.help "house")', set "[here](lua/diffusion/guide/house.md)")
    assert.equal("page <https://x.y>", set "[page](https://x.y)")
  end)
end)

describe("a guide", function()
  for _, name in ipairs(guide.names()) do
    it(name .. " begins with a title and a sentence, and fits in 80 and 40 columns", function()
      local blocks = markdown.blocks(guide.page(name))
      assert.same({ "heading", 1, "paragraph" }, { blocks[1].kind, blocks[1].level, blocks[2].kind })
      assert(#guide.about(name) <= 120, guide.about(name))
      for _, width in ipairs { 80, 40 } do
        for line in set(guide.page(name), width):gmatch "[^\n]+" do
          local whole = width < 80 and (line:find "^  " or not line:find "%S%s+%S") -- code, or one word
          assert(columns(line) <= width or whole, line)
        end
      end
    end)
  end

  it("there is one for what d has, but where the help says all", function()
    for _, name in ipairs { "d.sample", "d.sampler", "d.objective", "d.edit", "d.unet", "d.metric.kid", "d.data",
                            "d.likelihood", "run", "set", "d.image.show" } do
      assert.is_string(guide.page(assert(guide.of(name), name)), name)
    end
    assert.is_nil(guide.of "process:q_sample")
    assert.is_nil(guide.of "d.where")
  end)
end)

describe("d.help", function()
  it("shows a guide, and of a name that both have the reference with a pointer to it", function()
    assert.match("^Samplers\n=", help.text "samplers")
    assert.match("^d%.sampler\n", help.text "sampler")
    assert.match('\nguide\n  d%.help "samplers"$', help.text "sampler")
    assert.match("^d%.guidance\n", help.text "guidance")
    assert.match('\nguide\n  d%.help "guide guidance"$', help.text "guidance")
    assert.match("^Guidance\n=", help.text "guide guidance")
    assert.match("^Schedules, process and grids\n=", help.text "schedules")
  end)

  it("lists the guides", function()
    local all, list = help.text(), help.text "guides"
    for _, name in ipairs(guide.names()) do
      assert.truthy(all:match("guides.*").find(all, name, 1, true), name)
      assert.truthy(list:find("\n  " .. name .. " ", 1, true), name)
    end
    assert.truthy(list:find(guide.about "samplers":sub(1, 40), 1, true))
  end)

  it("suggests a guide for one that isn't there", function()
    assert.equal("nothing is called 'smaplers'; did you mean 'samplers'?", help.text "smaplers")
    assert.equal("nothing is called 'guide smaplers'; did you mean 'samplers'?", help.text "guide smaplers")
    assert.equal("nothing is called 'compatibilty'; did you mean 'compatibility'?", help.text "compatibilty")
    assert.match("^nothing is called 'guide %.%./help'", help.text "guide ../help")
  end)

  it("prints to the width that COLUMNS says", function()
    local folder = child.folder()
    child.write(folder .. "/s.lua", 'require "diffusion".help "tensors"')
    local out = child.run(folder .. "/s.lua", { env = "COLUMNS=50" })
    child.remove(folder)
    local longest = 0
    for line in out:gmatch "[^\n]+" do
      if not line:find "^  " then longest = math.max(longest, columns(line)) end
    end
    assert(longest > 40 and longest <= 50, longest)
    assert.falsy(out:find "\27")
  end)

  it("at a terminal prints in bold, to the terminal's width", function()
    if not child.has "script" then return pending "no script(1) here" end
    local folder = child.folder()
    child.write(folder .. "/s.lua", 'require "diffusion".help "tensors"')
    local command = child.command(folder .. "/s.lua", { env = "COLUMNS= NO_COLOR= TERM=xterm" })
    child.write(folder .. "/run", "stty cols 60; " .. command .. "\n")
    -- script(1) itself leaks 23 bytes
    local pipe = assert(io.popen(("ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 script -qec 'sh %s/run' /dev/null "
      .. "</dev/null 2>&1"):format(folder)))
    local out = pipe:read "a":gsub("\r", "")
    pipe:close()
    child.remove(folder)
    assert.truthy(out:find("\27[1mTensors and gradients\27[0m\n", 1, true), out)
    local longest = 0
    for line in out:gmatch "[^\n]+" do
      if not line:find "^  " then longest = math.max(longest, columns(line)) end
    end
    assert(longest > 50 and longest <= 60, longest)
  end)

  it("has an entry for itself", function() assert.match("samplers", printed(d.help, d.help)) end)
end)
