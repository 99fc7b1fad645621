-- core.mix_noise and core.mix_normals: the noise that a sampler adds in the pass of its mix.
local d = require "diffusion"
local core = require "diffusion.core"

local stream = 6
local shape = { 3, 2500 } -- more than a block a sample, and a rest

local function noise_of(draw, size) return core.mix_noise(1, 9, stream, draw, 0, d.zeros(size or shape)) end

describe("mix_normals", function()
  it("of one draw has mix_noise's bits", function()
    local x, y = d.randn(shape, { seed = 1 }), d.randn(shape, { seed = 2 })
    for _, c in ipairs { 1, -0.3, 1e-6 } do
      assert.equal(core.mix_noise(c, 9, stream, 41, 0.5, x, { 1, 2, 3 }, y):bytes(),
        core.mix_normals({ c }, 9, stream, { 41 }, 0.5, x, { 1, 2, 3 }, y):bytes())
    end
  end)

  it("adds each draw's own normals, of any draw there is", function()
    local x, c, draws = d.randn(shape, { seed = 1 }), { 0.25, -2, 1e-3, 0.5 }, { 0, 7, 0xffffffff, 1 << 31 }
    local want = 0.5 * x
    for j = 1, #c do want = want + c[j] * noise_of(draws[j]) end
    assert.allclose(want, core.mix_normals(c, 9, stream, draws, 0.5, x), { rtol = 1e-6, atol = 1e-6 })
    assert.equal((0.5 * x):bytes(), core.mix_normals({}, 9, stream, {}, 0.5, x):bytes())
    assert.not_equal(noise_of(0):bytes(), noise_of(1 << 31):bytes())
  end)

  it("of the most draws has the variance of their sum", function()
    local c, draws, variance = {}, {}, 0
    for j = 1, 64 do c[j], draws[j], variance = 1 / j, j * j, variance + 1 / j ^ 2 end
    local n = 100000
    local y = core.mix_normals(c, 9, stream, draws, 0, d.zeros(1, n))
    assert.near(0, y:mean():item(), 4 * math.sqrt(variance / n))
    assert.near(1, (y * y):mean():item() / variance, 4 * math.sqrt(2 / n))
  end)

  it("gives sample k the same bits alone, in a batch, and on any number of threads", function()
    local c, draws, threads, seen = { 0.3, 0.4, 0.5 }, { 5, 6, 70 }, d.threads(), {}
    local x = d.randn(shape, { seed = 3 })
    for count = 1, 3 do
      d.threads(count)
      seen[count] = core.mix_normals(c, 9, stream, draws, 2, x):bytes()
    end
    d.threads(threads)
    assert.is_true(seen[1] == seen[2] and seen[2] == seen[3])
    local alone = core.mix_normals(c, 9, stream, draws, 2, x:narrow(1, 1, 1)):bytes()
    assert.equal(alone, seen[1]:sub(1, #alone))
    assert.not_equal(alone, seen[1]:sub(-#alone))
  end)

  it("passes the gradient of its tensors on", function()
    local x, y = d.randn({ 3, 5 }, { seed = 4 }), d.randn({ 3, 5 }, { seed = 5 })
    local dx, dy = d.grad(function(a, b)
      return core.mix_normals({ 0.6, 0.8 }, 9, stream, { 1, 2 }, 0.5, a, { 1, 2, 3 }, b):sum()
    end, x, y)
    assert.same({ { 0.5, 0.5, 0.5, 0.5, 0.5 } }, dx:narrow(1, 1, 1):totable())
    assert.same({ { 3, 3, 3, 3, 3 } }, dy:narrow(1, 3, 1):totable())
  end)

  it("says what is wrong", function()
    local x = d.zeros(shape)
    local function says(sentence, ...)
      local fine, message = pcall(core.mix_normals, ...)
      assert.is_false(fine)
      assert.is_truthy(message:find(sentence, 1, true), message)
    end
    says("3 coefficients for 2 draws", { 1, 2, 3 }, 9, stream, { 1, 2 }, 1, x)
    says("draw 2 is -1; a whole number in 0..4294967295 expected", { 1, 2 }, 9, stream, { 1, -1 }, 1, x)
    says("draw 1 is 4294967296; a whole", { 1 }, 9, stream, { 1 << 32 }, 1, x)
    says("draw 1 is 1.5; a whole", { 1 }, 9, stream, { 1.5 }, 1, x)
    says("a list of numbers expected", { "x" }, 9, stream, { 1 }, 1, x)
    says("table expected, got number", 0.5, 9, stream, { 1 }, 1, x)
    says("table expected, got number", { 0.5 }, 9, stream, 1, 1, x)
    says("term 2 is [2], the first is [3,2500]", { 1 }, 9, stream, { 1 }, 1, x, 1, d.zeros(2))
    local many = {}
    for j = 1, 65 do many[j] = j end
    says("at most 64 normals, got 65", many, 9, stream, many, 1, x)
  end)
end)
