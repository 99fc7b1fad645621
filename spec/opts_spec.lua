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

  it("hold lists whose entries have a rule", function()
    local lists = { image = { "table", each = { "integer", min = 1 }, entries = 3 },
                    mult = { "table", each = { "integer", min = 1 }, least = 1, default = { 1, 2 } } }
    local function check_lists(given) return opts.check("unet", given, lists) end
    local function says(text, given)
      local ok, told = pcall(check_lists, given)
      assert.is_false(ok)
      assert.matches(text, told, 1, true)
    end
    local given = { 8.0, 8, 1 }
    local o = check_lists{ image = given }
    assert.equal("integer", math.type(o.image[1]))
    assert.same({ 1, 2 }, o.mult)
    o.mult[1], o.image[1] = 5, 9 -- both are the caller's own
    assert.same({ { 1, 2 }, 8.0 }, { check_lists{}.mult, given[1] })
    says("(option 'image': 3 entries expected, got 2)", { image = { 8, 8 } })
    says("(option 'mult': at least 1 entries expected, got 0)", { mult = {} })
    says("(option 'image': entry 2: integer in [1, inf) expected, got 0.5)", { image = { 8, 0.5, 1 } })
    says("(option 'mult': a list takes no field 'a')", { mult = { 1, a = 2 } })
  end)

  it("are declared by name, and joined", function()
    local own = opts.declare("of a spec", opts.joined(rules, { eta = opts.joined(rules.eta, { default = 1 }) }))
    assert.equal(own, opts.declared["of a spec"])
    assert.same({ 50, 1 }, { opts.check("f", nil, own).steps, opts.check("f", nil, own).eta })
    assert.equal(0, rules.eta.default)
    opts.declared["of a spec"] = nil
  end)

  it("hold arguments that are given by place", function()
    assert.equal("integer", math.type(opts.argument("conv", 1, "channels", 3.0, rules.steps)))
    local ok, told = pcall(opts.argument, "conv", 2, "channels", 0, rules.steps)
    assert.is_false(ok)
    assert.matches("bad argument #2 to 'conv' (channels: integer in [1, 1000] expected, got 0)", told, 1, true)
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
