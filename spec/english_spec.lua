-- Comments, messages and pages are in plain English. spec/support/english.lua has the rules.
local english = dofile "spec/support/english.lua"

local places = { "csrc", "lua", "spec", "examples", "README.md", "Makefile", ".ci", ".busted", ".luacheckrc" }

-- Sentences that may break a rule, by file: the first words of each, and why.
local exceptions = {}

local function faults(path, text) return table.concat(english.check(path, text), "\n") end

describe("the English of", function()
  for _, place in ipairs(places) do
    it(place .. " is plain", function()
      assert.equal("", table.concat(english.check_all({ place }, exceptions), "\n"))
    end)
  end
end)

describe("a check of English", function()
  local function finds(what, path, text, fault)
    it("finds " .. what, function() assert.equal(fault, faults(path, text)) end)
  end

  local long = ("word "):rep(26)
  finds("a sentence of 26 words", "a.c", "/* It has " .. ("word "):rep(24) .. ". */",
    "a.c:1: 26 words, at most 25: It has " .. ("word "):rep(24) .. ".")
  finds("a sentence that begins with Of", "a.c", "int x;\n/* Of a model all is saved. */",
    'a.c:2: begins with "Of": Of a model all is saved.')
  finds("one that begins with What", "a.lua", "-- It works.\n-- What is lost is NaN.",
    'a.lua:1: begins with "What": What is lost is NaN.')
  finds("a label that begins with where", "a.c", "int x; /* where it ends */",
    'a.c:1: begins with "where": where it ends')
  finds("a sentence without a verb", "a.c",
    "/* The large pieces of the old segments of some memory without owners or sizes. */",
    "a.c:1: has no verb: The large pieces of the old segments of some memory without owners or sizes.")
  finds("a private word", "a.md", "The model is told its class.",
    'a.md:1: "told": better conditioned on, reported: The model is told its class.')
  finds("one in a message", "a.c", 'df_fail(DF_MISUSE, "backward of a guest: "\n  "no gradient");',
    'a.c:1: "guest": better custom op: backward of a guest: no gradient')
  finds("one in a message of Lua", "a.lua", 'fail("the value is " ..\n  "sick at step %d", n)',
    'a.lua:1: "sick": better NaN: the value is sick at step %d')
  finds("one in a row of a table", "a.md", "| name | use |\n|---|---|\n| `x` | roads of samples |",
    'a.md:3: "roads": better trajectory, path: roads of samples')
  finds("one behind @param", "a.lua", "---@param f fun(t: number): number the way back of f",
    'a.lua:1: "way back": better backward pass: the way back of f')
  finds("one behind @return", "a.lua", "---@return table<string, number>|nil sick values",
    'a.lua:1: "sick": better NaN: sick values')
  finds("one in a comment of make", "Makefile", "all: x\n# It is made anew.\n",
    'Makefile:2: "made anew": better recomputed: It is made anew.')
  finds("one in a comment beside code", "a.c", "/*** Tensor:abs\n** abs: Where x holds. */",
    'a.c:2: begins with "Where": Where x holds.')
  finds("long sentences on average", "a.c", "/* " .. ("It has " .. ("word "):rep(18) .. ". "):rep(10) .. "*/",
    ("a.c: a mean of 20.0 words a sentence, at most %g"):format(english.mean))

  finds("a line of C that is too wide", "a.c", "int x; /* " .. ("n "):rep(41) .. "*/\n",
    "a.c:1: 94 columns, at most 90")

  local function accepts(what, path, text)
    it("accepts " .. what, function() assert.equal("", faults(path, text)) end)
  end

  accepts("code", "a.c", "int told = home + sick; char c = '\"'; /* it works */\n#include \"nn/home.h\"\n")
  accepts("labels", "a.c", "df_int n; /* (B, N, C) */\ndf_int m; /* number of steps */\n")
  accepts("short titles", "a.c", "/* Handlers of SIGINT. */\n")
  accepts("fences", "a.c", "/* ==== backward ==== */\n")
  accepts("formulas", "a.lua", "-- It follows from\n--   y = a x + b,  z = sqrt(y) + " .. long:gsub("word", "w_i") ..
    "\n-- with the noise of t.")
  accepts("many numbers in a sentence", "a.lua", "-- Sizes are " .. ("64, "):rep(40) .. "and 128.")
  accepts("tags", "a.lua",
    "---@param x diffusion.tensor\n---@return table<string, fun(home: string)> list\n---@class told\n")
  accepts("a name before a colon", "a.c", 'df_fail(DF_MISUSE, "where: the mask %s doesn\'t fit", s);')
  accepts("code in backticks", "a.md", "Use `nn.guest(f)` or `told = beside` in this case of a large and slow model.")
  accepts("code blocks", "a.md", "Run it:\n```lua\n-- Of what was told.\n```\n")
  accepts("strings of code", "a.lua", 'run("local told = guest(home and sick)")')
  accepts("an example behind @usage", "a.lua", "--- It works.\n---@usage local a = b\n--- of " .. long .. "\nlocal c")
  accepts("names with such a word in them", "a.c",
    "/* df_home_new returns nn/home.h's x.home and says told-next-time. */")
  accepts("ordinary uses", "a.c", "/* They can be told apart by the home directory. */")
  accepts("questions", "a.md", "What is new?")

  it("leaves out sentences that are excepted", function()
    assert.same({}, (english.check("a.c", "/* Of a model all is saved. */", { "Of a model" })))
  end)

  it("can read the whole tree in a moment", function()
    local _, count = english.check_all{ "csrc", "lua", "examples", "README.md", "Makefile", ".ci", "spec" }
    assert(count.sentences > 1000, count.sentences .. " sentences")
  end)
end)

describe("sentences", function()
  local function splits(text, ...)
    local expected = { ... }
    it("are split in: " .. text, function() assert.same(expected, english.sentences(text)) end)
  end

  splits("One is here. Two is there.", "One is here.", "Two is there.")
  splits("See Ho et al. 2020, eq. 7. It holds.", "See Ho et al. 2020, eq. 7.", "It holds.")
  splits("Values differ, e.g. 1.5 and 2.25. That is fine.", "Values differ, e.g. 1.5 and 2.25.", "That is fine.")
  splits("It is in base/pool.c and d.sample. Look there!", "It is in base/pool.c and d.sample.", "Look there!")
  splits("Sizes are 64, 80, ... and so on. (It is (a) sum.) Yes.", "Sizes are 64, 80, ... and so on.",
    "It is (a) sum.)", "Yes.")
  splits("By D. P. Kingma. See `x. y` or https://a.b/c. End.", "By D. P. Kingma.", "See CODE or LINK.", "End.")
  splits("x_t = a_t x_0 + s_t eps. 0 <= t.", "x_t = a_t x_0 + s_t eps.")

  it("have words, without numbers and formulas", function()
    assert.same({ "The", "sum", "is", "a", "df_real", "of" }, english.words "The sum is a df_real of x_t = 3 + 4.")
  end)
end)
