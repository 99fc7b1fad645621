-- Kinds of layers that arrange tokens, and attention of queries, keys and values that are there already. Blocks hand
-- inputs on that may be absent.
local d = require "diffusion"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local layer = require "spec.support.one_layer"

local close, single, randomised = layer.close, layer.single, layer.randomised
local double = core.real == "f64"

describe("rows and tokens", function()
  it("are made of each other", function()
    local x = d.randn({ 2, 3, 4 }, { seed = 1 })
    local row = single("flatten", 1)(x)
    assert.same({ 2, 12 }, row:shape())
    assert.is_true(single("unflatten", 1, { pieces = 3 })(row):equal(x))
    assert.same({ 2, 24 }, single("flatten", 1)(d.randn(2, 2, 3, 4)):shape())
    assert((d.gradcheck(single("flatten", 1), { x })))
    fails("unflatten: a row a sample, [B,5 C], expected, got [2,12]", single("unflatten", 1, { pieces = 5 }), row)
    fails("unflatten: a row a sample, [B,3 C], expected, got [2,3,4]", single("unflatten", 1, { pieces = 3 }), x)
  end)

  it("are joined one after another", function()
    local a, b = d.randn({ 2, 3, 4 }, { seed = 1 }), d.randn({ 2, 1, 4 }, { seed = 2 })
    local join = single("join", 2)
    assert.is_true(d.cat({ a, b }, 2):equal(join(a, { y = b })))
    assert((d.gradcheck(function(v) return join(v, { y = b }) end, { a })))
    fails("join: tokens are [B,N,C], got [2,4]", join, a, { y = d.zeros(2, 4) })
  end)

  it("are waves of a list of numbers for each sample", function()
    local t = d.tensor { { 1, 250, 7 }, { 3, 0, 999 } }
    local waves = single("sinusoid", 1, { width = 6 })
    assert.is_true(waves(t):reshape(6, 6):equal(waves(t:reshape(6))))
    assert.same({ 2, 3, 6 }, waves(t):shape())
  end)
end)

describe("attend", function()
  local q, k = d.randn({ 2, 3, 8 }, { seed = 1 }), d.randn({ 2, 5, 8 }, { seed = 2 })
  local v = d.randn({ 2, 5, 8 }, { seed = 3 })

  -- softmax(q k^T / sqrt(D) + added) v by plain ops.
  local function composed(heads, added)
    local function split(x) return x:reshape(2, -1, heads, 8 // heads):permute(1, 3, 2, 4):contiguous() end
    local scores = split(q):matmul(split(k):permute(1, 2, 4, 3)) / math.sqrt(8 // heads)
    if added then scores = scores + added:reshape(2, 1, 1, 5) end
    return scores:softmax(4):matmul(split(v)):permute(1, 3, 2, 4):reshape(2, 3, 8)
  end

  it("is attention of the heads", function()
    local tolerance = double and 1e-12 or 2e-5
    close(single("attend", 4, { heads = 2 })(q, { y = k, z = v }), composed(2), tolerance)
    local added = d.randn({ 2, 5 }, { seed = 4 })
    close(single("attend", 4, { heads = 4 })(q, { y = k, z = v, u = added }), composed(4, added), tolerance)
  end)

  it("may have keys of its own tokens, for which a mask has no place", function()
    local own = single("attend", 4, { heads = 2, own = true })
    local short, long = d.tensor { { 1, 0 }, { 0, 1 } }, d.tensor { { 1, 0, 1, 1, 1 }, { 0, 1, 1, 1, 1 } }
    local whole = single("attend", 4, { heads = 2 })(q, { y = k, z = v, u = long:to "i64" })
    for _, dtype in ipairs { "i64", "u8" } do
      assert.is_true(whole:equal(own(q, { y = k, z = v, u = short:to(dtype) })))
    end
    local hidden = (short - 1) * 1e4
    close(own(q, { y = k, z = v, u = hidden }), whole)
    assert.is_true(own(q, { y = k, z = v }):equal(single("attend", 4, { heads = 2 })(q, { y = k, z = v })))
    fails("the mask [2,8] is none of [2,5]", own, q, { y = k, z = v, u = d.ones(2, 5) })
    fails("attend: a mask has a number for each key, got []", own, q, { y = k, z = v, u = d.tensor(1) })
  end)
end)

describe("attention_pool", function()
  local net = randomised(single("attention_pool", 1, { inp = 8, heads = 2 }, "pool"))
  local x = d.randn({ 3, 4, 8 }, { seed = 9 })

  it("is the attention of the mean and a learned vector to the tokens and to itself", function()
    local s = net:state()
    local function product(name, v)
      local y = v:reshape(-1, 8):matmul(s["pool." .. name .. ".weight"]:t())
      return y:reshape(3, -1, 8) + s["pool." .. name .. ".bias"]
    end
    local token = x:mean(2, true) + s["pool.positional_embedding"]:reshape(1, 1, 8)
    local all = d.cat({ token, x }, 2)
    local y = single("attend", 4, { heads = 2 })(product("q_proj", token),
      { y = product("k_proj", all), z = product("v_proj", all) })
    close(net(x), y:reshape(3, 8), double and 1e-12 or 1e-5)
    assert.same({ 1, 8 }, s["pool.positional_embedding"]:shape())
    assert((d.gradcheck(net, { x })))
  end)

  it("refuses other widths", function()
    fails("attention_pool: tokens [B,N,8] expected, got [3,4]", net, d.zeros(3, 4))
    fails("attention_pool: 3 heads don't divide a width of 8", single, "attention_pool", 1, { inp = 8, heads = 3 },
      "pool")
  end)
end)

describe("upsample with an image of the size of the result", function()
  local net = randomised(single("upsample", 2, { inp = 2, out = 2 }, "up"))
  local x = d.randn({ 1, 3, 4, 2 }, { seed = 1 })

  -- Row i of n is the old one at the floor of i old / n.
  local function nearest(v, dim, n)
    local index = {}
    for i = 0, n - 1 do index[i + 1] = i * v:size(dim) // n + 1 end
    return v:index(dim, d.tensor(index, { dtype = "i64" }))
  end

  it("takes the nearest pixels, as PyTorch does", function()
    local s = net:state()
    for _, size in ipairs { { 5, 7 }, { 6, 8 }, { 7, 9 }, { 1, 4 }, { 3, 10 } } do
      local large = nearest(nearest(x, 2, size[1]), 3, size[2])
      local want = large:conv2d(s["up.conv.weight"], s["up.conv.bias"], { pad = 1 })
      close(net(x, { y = d.zeros(1, size[1], size[2], 5) }), want, double and 1e-12 or 1e-5)
    end
    assert.is_true(net(x):equal(net(x, { y = d.zeros(1, 6, 8, 1) })))
    assert((d.gradcheck(function(v) return net(v, { y = d.zeros(1, 5, 9, 1) }) end, { x })))
  end)

  it("refuses what is no image", function()
    fails("upsample: images are [B,H,W,C], got [1,3,4,2] and [1,6]", net, x, { y = d.zeros(1, 6) })
  end)
end)

describe("a block", function()
  it("gets an input that is absent as an absent one", function()
    local model = d.network { inputs = { { "x", shape = { "B", 4 } }, { "more", shape = { "B", 4 }, optional = true } },
      build = function(net)
        return net:block("part", { net.x, net.more }, nil, function(b, x, more)
          return b:add { b:linear("out", x, { out = 4 }), b:block("inner", { more, x }, nil, function(c, y)
            return c:scale(y, { factor = 2 })
          end) }
        end)
      end }
    local x = d.randn({ 2, 4 }, { seed = 1 })
    local plain = model(x)
    close(model(x, { more = x }), plain + x * 2)
  end)

  it("keeps that through a file", function()
    local model = d.network { inputs = { "x", { "mask", optional = true } }, build = function(net)
      return net:block("part", { net.x, net.mask }, { recompute = true }, function(b, x, mask)
        return b:attention("attention", { x, x, mask }, { inp = 4, heads = 2, context = 4 })
      end)
    end }
    local path, x = os.tmpname(), d.randn({ 2, 3, 4 }, { seed = 1 })
    assert(model:save(path))
    local twin = assert(d.load_model(path))
    os.remove(path)
    local mask = d.tensor({ { 1, 0, 1 }, { 1, 1, 0 } }, { dtype = "i64" })
    assert.is_true(model(x):equal(twin(x)))
    assert.is_true(model(x, { mask = mask }):equal(twin(x, { mask = mask })))
    assert.is_false(model(x):equal(model(x, { mask = mask })))
    local y = d.record(function() return model(x, { mask = mask }):sum() end)
    y:backward()
    assert.is_true(model:state()["part.attention.q.weight"].grad:abs():sum():item() > 0)
  end)
end)
