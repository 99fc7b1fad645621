-- Brownian paths in the float build: what is asked of them, and what they refuse. Their law is
-- in spec/theory/brownian_spec.lua.
local d = require "diffusion"
local core = require "diffusion.core"
local brownian = require "diffusion.sampler.brownian"

local function clock(lambda) return math.exp(2 * lambda) end

local function says(sentence, fn, ...)
  local fine, message = pcall(fn, ...)
  assert.is_false(fine)
  assert.is_truthy(message:find(sentence, 1, true), message)
  assert.is_truthy(message:find "brownian_spec", message) -- at the user's line
end

describe("a Brownian path", function()
  it("is the same whoever asks, and when", function()
    local a = brownian.new { low = -5, high = 4, clock = clock }
    local b = brownian.new { low = -5, high = 4, clock = clock }
    b:increment(-1, 3)
    assert.same({ a:increment(-2.2, 0.1) }, { b:increment(-2.2, 0.1) })
    assert.equal(24, a.depth)
  end)

  it("adds noise of a given size in the pass of a mix", function()
    local tree, x = brownian.new { low = -5, high = 4, clock = clock }, d.randn({ 2, 20000 }, { seed = 1 })
    local c, nodes = tree:noise(0.7, -1, 0.2)
    local z = core.mix_normals(c, 3, brownian.stream, nodes, 0.5, x) - 0.5 * x
    assert.near(0.7, z:std():item(), 4 * 0.7 / math.sqrt(2 * 40000))
    assert.near(0, (z * x):mean():item(), 4 * 0.7 / math.sqrt(40000))
  end)

  it("goes on where its clock stands still", function()
    local function stairs(lambda) return math.max(0, lambda) end
    local tree = brownian.new { low = -1, high = 1, clock = stairs }
    local c, nodes, dtau = tree:increment(-0.9, -0.3)
    assert.same({ {}, {}, 0 }, { c, nodes, dtau + 0 })
    says("the clock doesn't advance from lambda = -0.9 to -0.3", tree.noise, tree, 1, -0.9, -0.3)
    c = tree:increment(-0.4, 0.3)
    local variance = 0
    for _, v in ipairs(c) do variance = variance + v * v end
    assert.near(0.3, variance, 1e-12)
  end)

  it("says what is wrong", function()
    local new = brownian.new
    says("option 'clock' is missing", new, { low = 0, high = 1 })
    says("option 'low': finite number expected, got -inf", new, { low = -math.huge, high = 1, clock = clock })
    says("low must be below high, got 2 and 1", new, { low = 2, high = 1, clock = clock })
    says("option 'depth': integer in [1, 30] expected, got 31", new, { low = 0, high = 1, clock = clock, depth = 31 })
    says("the clock must rise, but it is 1 at low and 1 at high", new,
      { low = 0, high = 1, clock = function() return 1 end })
    says("the clock must give a finite number, got nil at lambda = 0", new,
      { low = 0, high = 1, clock = function() end })
    says("the clock must give a finite number, got inf at lambda = 800", new, { low = 0, high = 800, clock = clock })
    local tree = new { low = -5, high = 4, clock = clock }
    says("from must be a lambda in [-5, 4] or -inf, got -5.5", tree.increment, tree, -5.5, 0)
    says("to must be a lambda in [-5, 4], got 4.1", tree.increment, tree, 0, 4.1)
    says("to must be a lambda in [-5, 4], got nil", tree.increment, tree, 0)
    says("from must be a lambda in [-5, 4] or -inf, got ", tree.increment, tree, 0 / 0, 1)
    says("the lambda of an increment must rise, got 1 to 1", tree.increment, tree, 1, 1)
    says("got 2 to 1", tree.noise, tree, 1, 2, 1)
    local wave = new { low = 0, high = 10, clock = function(lambda) return lambda == 5 and -7 or lambda end }
    says("the clock must rise with lambda, but it falls from 0 to -7 at lambda = 5", wave.increment, wave, 1, 2)
    local line = new { low = 1, high = 2, clock = function(lambda) return lambda end }
    says("the clock must give a finite number, got -inf at lambda = -inf", line.increment, line, -math.huge, 2)
  end)
end)
