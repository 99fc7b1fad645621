-- The validator of option tables: defaults, types, ranges, the nearest name, and the
-- position of the user's line.
local opts = require "diffusion.opts"

local rules = {
  steps = { "integer", default = 50, min = 1, max = 1000 },
  eta = { "number", default = 0, min = 0 },
  decay = { "number", above = 0, below = 1 },
  predict = { one_of = { "eps", "x0", "v" }, default = "eps" },
  variance = { "function", one_of = { "fixed_small", "fixed_large" } },
}

local function check(given) return opts.check("sample", given, rules) end
local function message(given)
  local ok, text = pcall(check, given)
  assert.is_false(ok)
  return text
end

describe("option tables", function()
  it("are filled with defaults, and whole floats become integers", function()
    assert.same({ steps = 50, eta = 0, predict = "eps" }, check(nil))
    local o = check{ steps = 10.0 }
    assert.equal("integer", math.type(o.steps))
    local f = function() end
    assert.equal(f, check{ variance = f }.variance)
  end)

  it("name the unknown option, the nearest and the valid ones", function()
    assert.matches("bad argument #1 to 'sample' %(unknown option 'stpes'; did you mean 'steps'%? "
      .. "valid: decay, eta, predict, steps, variance%)", message{ stpes = 1 })
    assert.matches("unknown option 'zzz'; valid: ", message{ zzz = 1 })
    assert.matches("unknown value 'ep'; did you mean 'eps'%?", message{ predict = "ep" })
  end)

  it("say what was expected and what was found", function()
    assert.matches("option 'steps': integer in %[1, 1000%] expected, got 0%)", message{ steps = 0 })
    assert.matches("integer in %[1, 1000%] expected, got 2.5", message{ steps = 2.5 })
    assert.matches("integer in %[1, 1000%] expected, got '5'", message{ steps = "5" })
    assert.matches("number in %[0, inf%) expected, got", message{ eta = 0 / 0 })
    assert.matches("number in %(0, 1%) expected, got 1", message{ decay = 1 })
    assert.matches("one of fixed_small, fixed_large expected, got 3", message{ variance = 3 })
    assert.matches("a table of options expected, got 7", message(7))
  end)

  it("report the user's line, however deep the check lies", function()
    local chunk = assert(load("local f, rules = ...\n\nlocal o = f(rules)\nreturn o", "=user"))
    local ok, text = pcall(chunk, function(r) return opts.check("f", { stpes = 1 }, r) end, rules)
    assert.is_false(ok)
    assert.matches("^user:3: ", text)       -- the function between ended in a tail call
    ok, text = pcall(function() local o = opts.check("f", { stpes = 1 }, rules) return o end)
    assert.is_false(ok)
    assert.matches("opts_spec.lua:%d+: ", text)
  end)
end)
