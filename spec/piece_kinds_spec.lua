-- Kinds of layers that transformers and autoencoders of other people need: labels, chunk, scaled
-- places, and first values of a codebook.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"

-- A network of one layer, whose result is a value of integers or reals.
local function labels(options)
  return d.network { inputs = { { "x", shape = { "B", 2 } }, { "class", shape = { "B" } } },
    build = function(net)
      local at = net:labels({ net.x, net.class }, options)
      return net:embedding("table", at, { inp = options.classes + 1, out = 3 })
    end }
end

local function rows(model, x, class)
  local y, table_rows, out = model(x, { class = class }), model.table.weight, {}
  for k = 1, y:size(1) do
    for row = 1, table_rows:size(1) do
      if (y[k] - table_rows[row]):abs():max():item() == 0 then out[k] = row end
    end
  end
  return out
end

describe("labels", function()
  local x = d.zeros(4, 2)

  it("are the last row of a table where there is no class", function()
    local model = labels { classes = 5 }
    assert.same({ 3, 6, 5, 1 }, rows(model, x, { 3, 0, 5, 1 }))
    assert.same({ 6, 6, 6, 6 }, rows(model, x, nil))
    assert.same({ 2, 2, 2, 2 }, rows(model, x, 2))
  end)

  it("refuse classes that the table doesn't have", function()
    local model = labels { classes = 5 }
    fails("sample 2 is of class 6, but this network knows 1..5, and 0 for none", model, x, { class = { 1, 6, 1, 1 } })
    fails("option 'classes' is missing: integer in [1, 2147483646] expected", labels, { classes = nil })
  end)

  it("are forgotten at random in training only, each by its place in the batch", function()
    local model, n = labels { classes = 5, dropout = 0.25 }, 4000
    local many, class = d.zeros(n, 2), d.full({ n }, 2):to "i64"
    local function known(y) return (y - model.table.weight[2]):abs():sum(2):eq(0):to "i64" end
    assert.equal(n, known(model(many, { class = class })):sum():item())
    d.manual_seed(5)
    local y = d.record(function() return model(many, { class = class }) end)
    local share = known(y):sum():item() / n
    assert(math.abs(share - 0.75) < 0.03, tostring(share))
    d.manual_seed(5)
    local first = d.record(function() return model(x, { class = class:narrow(1, 1, 4) }) end)
    assert.is_true(first:equal(y:narrow(1, 1, 4)))
    model:eval()
    assert.equal(n, known(d.record(function() return model(many, { class = class }) end)):sum():item())
  end)
end)

describe("chunk", function()
  local function chunk(options)
    return d.network { inputs = { { "x", shape = { "B", 6 } } },
      build = function(net) return net:linear("out", net:chunk(net.x, options), { out = 1 }) end }
  end

  it("is one of equal pieces of the last dimension", function()
    local x = d.arange(1, 12):reshape(2, 6):to(core.real)
    for at = 1, 3 do
      local model = chunk { pieces = 3, at = at }
      assert.same({ 1, 2 }, model.out.weight:shape())
      local want = x:narrow(2, 2 * at - 1, 2):matmul(model.out.weight:t()) + model.out.bias
      assert.allclose(want, model(x))
      assert((d.gradcheck(model, { x })))
    end
  end)

  it("refuses pieces that there are not", function()
    fails("chunk: there is no piece 3 of 2", chunk, { at = 3 })
    fails("chunk: the last dimension of [1,6] is no multiple of 4", d.network { inputs = { { "x" } },
      build = function(net) return net:chunk(net.x, { pieces = 4 }) end }, d.zeros(1, 6))
  end)
end)

describe("places", function()
  local function places(options, h, w)
    local model = d.network { inputs = { { "x", shape = { "B", "H", "W", 8 } } },
      build = function(net) return net:add { net.x, net:places(net.x, options) } end }
    return model(d.zeros(1, h, w, 8))
  end

  it("are scaled to a base by the number of rows and of columns", function()
    local y = places({ base = 4 }, 2, 8)
    for row = 0, 1 do
      for column = 0, 7 do
        local at, want = y[1][row + 1][column + 1]:totable(), {}
        for _, place in ipairs { column / 2, row * 2 } do
          for _, wave in ipairs { math.sin, math.cos } do
            for k = 0, 1 do want[#want + 1] = wave(place * 10000 ^ (-k / 2)) end
          end
        end
        assert.allclose(want, at, { atol = 1e-6 })
      end
    end
    assert.is_true(places({ base = 5 }, 5, 5):equal(places({}, 5, 5)))
  end)
end)

describe("embedding", function()
  it("begins uniform within a number if asked", function()
    local function weight(within)
      d.manual_seed(1)
      local model = d.network { inputs = { { "x", shape = { "B" }, whole = true } },
        build = function(net) return net:embedding("table", net.x, { inp = 500, out = 4, within = within }) end }
      return model.table.weight
    end
    local w = weight(0.01)
    assert(w:abs():max():item() <= 0.01 and w:abs():max():item() > 0.0099)
    assert(math.abs(w:std():item() - 0.01 / math.sqrt(3)) < 2e-4)
    assert(math.abs(weight(nil):std():item() - 1) < 0.05)
  end)
end)
