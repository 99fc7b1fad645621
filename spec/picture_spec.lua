-- The numbers of an image have the same meaning in all functions that take images. No
-- other function takes their bytes for numbers.
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local image = d.image

local function u8(values) return d.tensor(values, { dtype = "u8" }) end
local function i64(values) return d.tensor(values, { dtype = "i64" }) end

-- A picture of one row, of one channel.
local function row(x) return x:reshape(1, x:numel(), 1) end

local function said(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, "no error")
  return message
end

local function has(message, ...)
  for _, word in ipairs { ... } do assert.is_truthy(message:find(word, 1, true), message) end
end

-- Everything that takes a picture, of numbers x {n}; what it makes of them as bytes, or nil.
local path
local takers = {
  to_bytes = function(x) return image.to_bytes(x):totable() end,
  save = function(x)
    assert(image.save(path, row(x)))
    return assert(image.read(path)):flatten():totable()
  end,
  animate = function(x)
    assert(image.animate(path, row(x):unsqueeze(1)))
    return assert(image.read(path)):flatten():totable()
  end,
  ["animate, of batches"] = function(x)
    assert(image.animate(path, { row(x):unsqueeze(1) }))
    return assert(image.read(path)):flatten():totable()
  end,
  draw = function(x)
    local text = image.draw(row(x):expand(1, x:numel(), 1), { style = "truecolor", width = 100 })
    local out = {}
    for v in text:gmatch "38;2;(%d+);" do out[#out + 1] = math.tointeger(v) end
    return out
  end,
}

describe("a picture's numbers", function()
  before_each(function() path = forge.file "" end)
  after_each(forge.clean)

  it("are bytes, whole numbers 0..255 or floats in [-1, 1], for all that take pictures", function()
    for name, take in pairs(takers) do
      assert.same({ 255, 155, 0, 7 }, take(u8 { 255, 155, 0, 7 }), name)
      assert.same({ 255, 155, 0, 248 }, take(255 - u8 { 0, 100, 255, 7 }), name)
      assert.same({ 255, 0, 128, 255, 0 }, take(d.tensor { 1, -1, 0, 1.5, -9 }), name)
      for _, dtype in ipairs { "f64", "f16", "bf16" } do
        assert.same({ 255, 0, 191 }, take(d.tensor({ 1, -1, 0.5 }, { dtype = dtype })), name)
      end
    end
  end)

  it("are refused otherwise, with the numbers, and nothing is written", function()
    for name, take in pairs(takers) do
      has(said(take, u8 { 1, 2 } - 3), "from -2 to -1", "0..255")
      has(said(take, i64 { 0, 256, 3 }), "from 0 to 256", "0..255")
      if name ~= "draw" then -- which warns: nothing is written
        has(said(take, d.tensor { 0, 17.5, 254 }), "from 0 to 254", "[-1, 1]", 'x:to "u8"')
      end
      has(said(take, d.tensor { 0, 0 / 0, 1, 0 / 0 }), "of 4 numbers 2 are nan and 0 infinite")
      has(said(take, d.tensor { 1 / 0, 0, -1 / 0, 0 / 0, 0 }), "of 5 numbers 1 are nan and 2 infinite")
      assert.equal("", forge.bytes_of(path), name)
    end
  end)

  it("become floats in [-1, 1]; floats stay", function()
    local whole = 255 - u8 { 0, 100, 255 }
    assert.same(image.to_float(u8 { 255, 155, 0 }):totable(), image.to_float(whole):totable())
    assert.near(155 / 127.5 - 1, image.to_float(whole):totable()[2], 1e-6)
    has(said(image.to_float, i64 { -4, 300 }), "to_float", "from -4 to 300")
    local x = d.tensor { -3, 0.5, 300 }
    assert.same(x:totable(), image.to_float(x):totable())
  end)

  it("of a window that isn't dense are its own", function()
    local all = 255 - u8 { { 0, 1, 2 }, { 3, 4, 5 } }
    assert.same({ 254, 251 }, image.to_bytes(all:select(2, 2)):totable())
    has(said(image.to_bytes, (all * 2):narrow(2, 2, 2):t()), "from 500 to 508")
  end)

  it("of whole numbers make a grid of bytes, its seams black", function()
    local x = (255 - u8 { 0, 100, 255 }):reshape(3, 1, 1, 1)
    local sheet = image.grid(x, { columns = 3, pad = 1 })
    assert.equal("u8", sheet:dtype())
    assert.same({ 0, 255, 0, 155, 0, 0, 0 }, sheet[2]:flatten():totable())
    has(said(image.grid, x * 2), "grid", "from 0 to 510")
  end)

  it("of whole numbers [n,H,W,C] are a set's images, and an oracle's and a floor's", function()
    local bytes = u8 { 0, 100, 255, 7 }:reshape(2, 1, 2, 1)
    local set = d.data.set { x = 255 - bytes }
    assert.equal("u8", set.x:dtype())
    assert.same({ 255, 155, 0, 248 }, set.x:flatten():totable())
    has(said(d.data.set, { x = bytes - 300 }), "set", "from -300 to -45")
    assert.equal(core.real, d.data.set { x = i64 { { 1, 2 }, { 3, 400 } } }.x:dtype())
    local same = image.to_float(255 - bytes)
    local points = d.oracle.empirical(255 - bytes)
    assert.same(d.oracle.empirical(same):log_prob(same):totable(), points:log_prob(same):totable())
    local loss_of = d.objective { process = d.process { schedule = d.schedule.linear {}, predict = "v" } }
    assert.equal(loss_of:floor { data = same }, loss_of:floor { data = 255 - bytes })
  end)
end)

describe("bytes of pictures", function()
  local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "v" }
  local x, z = u8 { 0, 255, 7, 9 }:reshape(2, 2), d.zeros(2, 2)
  local whole = x - 1

  it("aren't taken for numbers by the process, by d.mix and by networks", function()
    local linear = d.nn.model(d.nn.linear(2, 2))
    local model = d.mlp { hidden = 8, depth = 1, classes = 2 }
    local own = d.nn.model(d.nn.sequence(d.nn.linear(2, 4), d.nn.silu))
    local uses = {
      q_sample = function(v) process:q_sample(v, 5) end,
      ["q_sample, a seed"] = function(v) process:q_sample(v, 5, { seed = 1 }) end,
      ["q_sample, eps"] = function(v) process:q_sample(z, 5, v) end,
      q_step = function(v) process:q_step(v, 5) end,
      ["q_step, eps"] = function(v) process:q_step(z, 5, v) end,
      q_moments = function(v) process:q_moments(v, 5) end,
      posterior = function(v) process:posterior(v, z, 5) end,
      ["posterior, xt"] = function(v) process:posterior(z, v, 5) end,
      target = function(v) process:target(v, z, 5) end,
      ["target, eps"] = function(v) process:target(z, v, 5) end,
      convert = function(v) process:convert(v, { from = "v", to = "x0", xt = z, t = 5 }) end,
      ["convert, xt"] = function(v) process:convert(z, { from = "v", to = "x0", xt = v, t = 5 }) end,
      ["convert to itself"] = function(v) process:convert(v, { from = "v", to = "v", xt = z, t = 5 }) end,
      estimate = function(v) process:estimate(v, z, 5) end,
      clipped = function(v) d.process { schedule = process.schedule, clip = 1 }:clipped(v) end,
      ["clipped by nothing"] = function(v) process:clipped(v) end,
      learned_log_variance = function(v)
        d.process { schedule = process.schedule, variance = "learned_range" }:learned_log_variance(v, 5)
      end,
      step_variance = function(v)
        d.process { schedule = process.schedule, variance = "learned" }:step_variance(5, 4, v)
      end,
      chain = function(v) process:chain(v)() end,
      mix = function(v) d.mix(0.5, z, 0.5, v) end,
      mlp = function(v) model(v, 5) end,
      ["a layer"] = function(v) linear(v) end,
      ["layers of one's own"] = function(v) own(v) end,
      precondition = function(v) d.precondition(model, process)(v, 5) end,
      guidance = function(v) d.guidance.cfg(model, { scale = 2 })(v, 5, { class = 1 }) end,
      oracle = function(v) d.oracle.gaussian { std = { 1, 1 } }:log_prob(v) end,
      ["an oracle's denoiser"] = function(v) d.oracle.gaussian { std = { 1, 1 } }:denoiser(process)(v, 5) end,
      objective = function(v) d.objective { process = process }(model, v) end,
      vlb = function(v) d.likelihood.vlb(model, process, v) end,
      ode = function(v) d.likelihood.ode(model, process, v) end,
      init = function(v) d.sample { model = model, process = process, init = v } end,
      ["run.x"] = function(v) d.sampler.steps { model = model, process = process, shape = { 2, 2 } }.x = v end,
      img2img = function(v) d.edit.img2img { model = model, process = process, x0 = v, strength = 0.5 } end,
      energy = function(v) d.metric.energy(v, z) end,
    }
    for name, use in pairs(uses) do
      use(z) -- floats are fine
      has(said(use, x), "u8", "d.image.to_float")
      has(said(use, whole), "i64", "d.image.to_float")
      assert.is_truthy(name)
    end
  end)

  it("names the argument and the shape", function()
    has(said(function() local xt = process:q_sample(x, 5) return xt end), "#1 to 'q_sample'", "u8 [2,2]")
    has(said(function() local mean = process:posterior(z, x, 5) return mean end), "#2 to 'posterior'", "u8 [2,2]")
  end)

  it("leaves times, classes and indices whole", function()
    local model = d.mlp { hidden = 8, depth = 1, classes = 3 }
    local t, class = i64 { 3, 9 }, i64 { 1, 2 }
    assert.same({ 2, 2 }, model(z, t, { class = class }):shape())
    assert.same({ 2, 2 }, (process:q_sample(z, t)):shape())
    assert.same({ 2, 4 }, d.nn.model(d.nn.embedding(3, 4))(class):shape())
  end)
end)
