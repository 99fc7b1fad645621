-- Networks as lists: the stock ones unchanged, users' own, and files that describe one.
local d = require "diffusion"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local refusal = require "spec.support.refusal"
local stock = require "spec.support.stock_networks"

local function near(a, b) return math.abs(a - b) <= 2e-5 * math.max(1, math.abs(b)) end
local function close(a, b) return (a - b):abs():max():item() < 1e-5 end
local function bits(x) return x:clone():bytes() end

local function stir(model)
  local i = 0
  for _, p in model:parameters() do
    i = i + 1
    p:add_(d.randn(p:shape(), { seed = i }) * 0.2)
  end
  return model
end

describe("a stock network", function()
  local expected = dofile "spec/fixtures/stock_networks.lua"
  for i, entry in ipairs(stock.list) do
    it(("keeps its names, first values and outputs (%d: %s)"):format(i, entry[1]), exactly(function()
      local model, y = stock.run(d, entry)
      local n = 0
      for name, p in model:parameters() do
        n = n + 1
        local e = expected[i].parameters[n]
        assert.equal(e[1], name)
        assert.equal(e[2], table.concat(p:shape(), "x"))
        assert(near(stock.mark(d, p), e[3]), ("%s: %.9g, not %.9g"):format(name, stock.mark(d, p), e[3]))
      end
      assert.equal(#expected[i].parameters, n)
      assert(near(stock.mark(d, y), expected[i].output[1]), ("%.9g"):format(stock.mark(d, y)))
      assert(near(y:std():item(), expected[i].output[2]))
      assert.equal(expected[i].text, tostring(model):match "^[^\n]*")
    end))
  end
end)

-- y = out(silu(inp(x) + time(t) + context(c))) + again, with a block and a shared part
local function own(o)
  return d.network {
    name = "own", options = o or { width = 16 },
    inputs = { { "x", shape = { "B", 2 } }, "t", { "context", shape = { "B", 3 }, optional = true } },
    build = function(net, options)
      local w = options.width
      local e = net:time_embed("time", net.t, { inp = 8, out = w })
      e = net:add { e, net:linear("context", net.context, { out = w }) }
      local h = net:add { net:linear("inp", net.x, { out = w }), e }
      h = net:block("blocks.1", { h, e }, { name = "pair", recompute = options.recompute }, function(b, x, y)
        return b:add { x, b:silu(b:linear("one", b:add { x, y }, { out = w })) }
      end)
      h = net:linear("mid.twice", net:silu(h), { out = w })
      h = net:again("mid.twice", net:dropout("dropout", h, { dropout = options.dropout or 0 }))
      return net:linear("out", net:silu(h), { out = 2 })
    end,
  }
end

describe("d.network", function()
  it("computes what its list says", exactly(function()
    local m, x, c = stir(own()), d.randn(5, 2), d.randn(5, 3)
    local function linear(part, v) return v:matmul(part.weight:t()) + part.bias end
    local t = d.full({ 5 }, 30)
    local e = m.time(t) + linear(m.context, c)
    local h = linear(m.inp, x) + e
    local one = m.blocks[1].one
    h = h + linear(one, h + e):silu()
    h = linear(m.mid.twice, h:silu())
    h = linear(m.mid.twice, h)
    assert.is_true(close(m(x, 30, { context = c }), linear(m.out, h:silu())))
  end))

  it("gives gradients that differences confirm", function()
    local m, x, c = stir(own { width = 4 }), d.randn(3, 2), d.randn(3, 3)
    local ok, worst = d.gradcheck(function(a, b) return m(a, 9, { context = b }) end, { x, c })
    assert(ok, tostring(worst))
    local loss = d.record(function() return m(x, 9, { context = c }):sum() end)
    loss:backward()
    for name, p in m:parameters() do assert(p.grad:isfinite():all(), name) end
  end)

  it("recomputes a block to the same bits", function()
    local function gradients(recompute)
      d.manual_seed(3)
      local m = own { width = 16, recompute = recompute, dropout = 0.3 }
      d.record(function() return m(d.ones(4, 2), 7, { context = d.ones(4, 3) }):sum() end):backward()
      local all = {}
      for _, p in m:parameters() do all[#all + 1] = bits(p.grad) end
      return table.concat(all)
    end
    assert.equal(gradients(false), gradients(true))
  end)

  -- A linear layer and the gated unit behind it are one product without a gradient. The gate's result has the place
  -- of the layer's input.
  it("has the same bits of gated rows in a record and without one", function()
    local m = d.network { inputs = { { "x", shape = { "B", 24 } } }, build = function(net)
      local h = net:silu(net.x)
      h = net:geglu(net:linear("one", h, { out = 66 }))
      local wide = net:linear("two", h, { out = 10, bias = false })
      return net:cat { net:geglu(wide), wide }
    end }
    stir(m)
    for _, rows in ipairs { 1, 7, 1025, 1600 } do
      local x = d.randn(rows, 24)
      for _, budget in ipairs { "default", 0 } do
        d.pack_budget(budget)
        local plain, recorded = d.no_grad(m, x), d.record(m, x)
        d.pack_budget "default"
        assert.same({ rows, 15 }, plain:shape())
        assert.is_true(plain:equal(recorded))
      end
    end
    local adapted = d.nn.lora(m, { rank = 2, on = "one" })
    for _, p in adapted:parameters() do p:add_(d.randn(p:shape())) end
    local x = d.randn(1100, 24)
    assert.is_true(d.no_grad(m, x):equal(d.record(m, x)))
    assert.is_false(d.no_grad(m, x):equal(d.record(m, d.randn(1100, 24))))
  end)

  it("skips the steps whose optional input is absent", function()
    local m, x = stir(own()), d.randn(4, 2)
    local zero = m.context.weight * 0
    local twin = own()
    twin:load_state(m:state())
    for name, p in twin:parameters() do
      if name:find "^context" then p:copy_(name:find "weight" and zero or d.zeros(16)) end
    end
    assert.is_true(close(m(x, 5), twin(x, 5, { context = d.randn(4, 3) })))
    local bare = d.network { inputs = { "x", { "y", optional = true } },
      build = function(net) return net:linear("a", net.y, { inp = 2, out = 2 }) end }
    fails("network: the result needs an input that is missing; 'y' is an optional one", bare, x)
  end)

  it("takes its inputs by name, and t only if it has one", function()
    local m = d.network { inputs = { { "x", shape = { "B", 2 } }, { "gain", shape = { "B", 2 } } },
      build = function(net) return net:linear("a", net:mul { net.x, net.gain }, { out = 1 }) end }
    local x = d.randn(3, 2)
    assert.same({ 3, 1 }, m(x, { gain = d.ones(3, 2) }):shape())
    fails("network: the input gain is missing", m, x)
    fails("unknown option 'gian'; did you mean 'gain'?", m, x, { gian = x })
  end)

  it("counts a part that is called again once", function()
    assert.equal(8 * 16 + 16 + 16 * 16 + 16 + 3 * 16 + 16 + 2 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 2 + 2,
      own():count())
  end)

  it("saves the list, and loads it without its builder", function()
    local path = os.tmpname()
    local m, x, c = stir(own { width = 8, dropout = 0.1 }), d.randn(5, 2), d.randn(5, 3)
    assert(m:save(path, { process = d.process { schedule = d.schedule.cosine { T = 10 } } }))
    local twin, process = assert(d.load_model(path))
    os.remove(path)
    assert.equal(tostring(m), tostring(twin))
    assert.equal(10, process.T)
    assert.equal(bits(m(x, 3, { context = c })), bits(twin(x, 3, { context = c })))
    assert.equal(bits(m(x, 3)), bits(twin(x, 3)))
    assert.same(m:config(), twin:config())
  end)

  it("trains and samples as a stock one does", function()
    local m = own()
    local process = d.process { schedule = d.schedule.cosine { T = 20 } }
    local opt = d.adamw(m, { lr = 1e-2 })
    local c, x0 = d.randn(32, 3), d.randn(32, 2)
    local first, last
    for _ = 1, 60 do
      local loss = d.record(d.objective { process = process }, m, x0, { inputs = { context = c } })
      loss:backward()
      opt:step()
      first, last = first or loss:item(), loss:item()
    end
    assert.is_true(last < first)
    local x = d.sample { model = m, process = process, shape = { 4, 2 }, inputs = { context = c:narrow(1, 1, 4) },
      seed = 1 }
    local alone = d.sample { model = m, process = process, shape = { 1, 2 },
      inputs = { context = c:narrow(1, 1, 1) }, seed = 1 }
    assert.equal(bits(x:narrow(1, 1, 1)), bits(alone))
  end)

  it("holds no value longer than its last reader", function()
    local function peak(depth)
      local m = d.network { inputs = { { "x", shape = { "B", 256 } } }, build = function(net)
        local h = net.x
        for i = 1, depth do h = net:linear("a." .. i, h, { out = 256 }) end
        return h
      end }
      local x = d.randn(4096, 256)
      m(x)
      collectgarbage()
      collectgarbage()
      local before = core.memory().live
      core.memory_reset_peak()
      local kept = m(x)
      return core.memory().peak - before, kept
    end
    assert.equal((peak(2)), (peak(12)))
  end)
end)

describe("a builder", function()
  local function builds(fn, inputs)
    return function() return d.network { name = "n", inputs = inputs or { { "x", shape = { "B", 2 } } },
      build = fn } end
  end

  it("is told its mistakes with the names of what there is", function()
    fails("n: unknown input or kind of layer 'linaer'; did you mean 'linear'?",
      builds(function(net) return net:linaer() end))
    fails("n: unknown input or kind of layer 'y'", builds(function(net) return net.y end))
    fails("n: linear needs the option 'out'", builds(function(net) return net:linear("a", net.x) end))
    fails("option 'out'", builds(function(net) return net:linear("a", net.x, { out = 0 }) end))
    fails("unknown option 'heads'", builds(function(net) return net:linear("a", net.x, { out = 1, heads = 1 }) end))
    fails("n: a linear has parameters, so it needs a path",
      builds(function(net) return net:linear(net.x, { out = 1 }) end))
    fails("n: two parts are named 'a'", builds(function(net)
      return net:linear("a", net:linear("a", net.x, { out = 1 }), { out = 1 }) end))
    fails("n: a path is names joined by dots, 'blocks.1.conv'; linear has 'a..b'", builds(function(net)
      return net:linear("a..b", net.x, { out = 1 }) end))
    fails("n: linear reads a value of the network or a list of them, got 3", builds(function(net)
      return net:linear("a", 3, { out = 1 }) end))
    fails("n: input 1 of add is nil, not a value of this network",
      builds(function(net) return net:add { nil, net.x } end))
    fails("n: build must return a value of the network, got nil", builds(function() end))
    fails("n: a path is names joined by dots, 'blocks.1.conv'; block has 3", builds(function(net)
      return net:block(3, net.x, {}, function(b, x) return b:silu(x) end) end))
    fails("n: a path is names joined by dots, 'blocks.1.conv'; again has nil", builds(function(net)
      return net:again(nil, net.x) end))
    fails("n: the result must be what a step computes", builds(function(net) return net.x end))
    fails("n: there is no part 'a' yet", builds(function(net) return net:again("a", net.x) end))
    fails("n: there is no part 'b' to order", builds(function(net)
      net:order { "b" }
      return net:linear("a", net.x, { out = 1 }) end))
    fails("n: mul takes 2 to 2 inputs, not 1", builds(function(net) return net:mul(net.x) end))
    fails("attention: a context of width 2 needs fused = false", builds(function(net)
      return net:attention("a", { net.x, net.x }, { fused = true }) end))
  end)

  it("is told what an input may be", function()
    local function of(...)
      local list = { ... }
      return builds(function(net) return net:silu(net.x) end, list)
    end
    fails("a network has at least one input", of())
    fails("two inputs are named 'x'", of("x", "x"))
    fails("'add' is a kind of layer, so no input can have that name", of("x", "add"))
    fails("the first input, 'x', can't be optional", of { "x", optional = true })
    fails('an input is a name "x" or a table {"x", shape = {"B", 2}}, got 3', of(3))
    fails('a dimension is a name "B", a size of 1 or more or {"H", multiple = 4}, got 0', of { "x", shape = { 0 } })
    fails("unknown option 'shap'; did you mean 'shape'?", of { "x", shap = { 1 } })
    fails("a network has 1 to 10 inputs", of("a", "b", "c", "e", "f", "g", "h", "i", "j", "k", "l"))
  end)

  it("may name an input as anything but a layer or a method", function()
    local path = os.tmpname()
    for _, name in ipairs { "text", "name", "core", "steps", "inputs", "limit", "first", "result", "width", "make" } do
      local m = d.network { inputs = { "x", { name, shape = { "B", 3 } } }, build = function(net)
        return net:add { net:linear("a", net.x, { inp = 2, out = 4 }), net:linear("b", net[name], { out = 4 }) }
      end }
      local x, more = d.randn(2, 2), { [name] = d.randn(2, 3) }
      assert(m:save(path), name)
      assert.is_true(assert(d.load_model(path))(x, more):equal(m(x, more)), name)
    end
    os.remove(path)
    fails("n: 'order' is a method of a net, so no input can have that name",
      builds(function(net) return net:silu(net.x) end, { "x", "order" }))
  end)

  it("can't change a net, nor read what it doesn't declare", function()
    fails("a net never changes, so its 'y' can't be written", builds(function(net) net.y = net.x end))
    fails("n: unknown input or kind of layer 'steps'", builds(function(net) return net.steps end))
  end)

  it("can't give a layer a part that its kind would use", function()
    fails("the part 'rb' is a res_block, which can't get a part of its own", builds(function(net)
      return net:conv("rb.skip", net:res_block("rb", net.x, { out = 2 }), { out = 2 }) end))
  end)

  it("can't mix values of two networks", function()
    local stolen
    builds(function(net) stolen = net.x return net:silu(net.x) end)()
    fails("n: input 1 of silu is a value of another network, not a value of this network",
      builds(function(net) return net:silu(stolen) end))
  end)
end)

describe("layers without parameters", function()
  local function apply(inputs, build, ...)
    local given, names = { ... }, { "a", "b", "c" }
    local list, more = {}, {}
    for i = 1, inputs do list[i], more[names[i]] = names[i], i > 1 and given[i] or nil end
    local net = d.network { inputs = list, build = build }
    return net(given[1], next(more) and more or nil)
  end

  it("cut pictures into patches, and put them together again", function()
    local x = d.randn(2, 4, 6, 3)
    local patches = apply(1, function(net) return net:patchify(net.a, { patch = 2 }) end, x)
    assert.same({ 2, 6, 12 }, patches:shape())
    for row = 0, 1 do
      for column = 0, 2 do
        local patch = x:narrow(2, 2 * row + 1, 2):narrow(3, 2 * column + 1, 2):clone():reshape(2, 12)
        assert.is_true(patch:equal(patches:select(2, 3 * row + column + 1)))
      end
    end
    local back = apply(2, function(net) return net:unpatchify({ net.a, net.b }, { patch = 2 }) end, patches, x)
    assert.is_true(back:equal(x))
    local tokens = apply(1, function(net) return net:tokens(net.a) end, x)
    assert.same({ 2, 24, 3 }, tokens:shape())
    assert.is_true(apply(2, function(net) return net:pixels { net.a, net.b } end, tokens, x):equal(x))
  end)

  it("modulate and gate tokens", function()
    local h, y, m = d.randn(2, 5, 4), d.randn(2, 5, 4), d.randn(2, 12)
    local function piece(i) return m:narrow(2, 4 * i - 3, 4):reshape(2, 1, 4) end
    local shifted = apply(2, function(net) return net:modulate({ net.a, net:per_token(net.b) }, { at = 2 }) end, h, m)
    assert.is_true(close(shifted, h * (piece(3) + 1) + piece(2)))
    local gated = apply(3, function(net) return net:gate({ net.a, net.b, net:per_token(net.c) }, { at = 3 }) end,
      h, y, m)
    assert.is_true(close(gated, h + y * piece(3)))
    fails("modulate: piece 3 of width 4 is outside of the modulation [2,1,12]", apply, 2,
      function(net) return net:modulate({ net.a, net:per_token(net.b) }, { at = 3 }) end, h, m)
  end)

  it("give every place its sines and cosines", function()
    local p = apply(1, function(net) return net:places(net.a) end, d.zeros(1, 3, 4, 8))
    assert.same({ 1, 3, 4, 8 }, p:shape())
    for row = 0, 2 do
      for column = 0, 3 do
        local got = p[{ {}, { row + 1 }, { column + 1 }, {} }]:flatten():totable()
        for k = 0, 1 do
          local w = 10000 ^ (-k / 2)
          assert(near(got[k + 1], math.sin(column * w)) and near(got[k + 3], math.cos(column * w)))
          assert(near(got[k + 5], math.sin(row * w)) and near(got[k + 7], math.cos(row * w)))
        end
      end
    end
  end)

  it("join along the last dimension, with zeros for what is absent", function()
    local a, b = d.randn(2, 3), d.randn(2, 5)
    assert.is_true(apply(2, function(net) return net:cat { net.a, net.b } end, a, b):equal(d.cat({ a, b }, 2)))
    local net = d.network { inputs = { "a", { "b", optional = true } },
      build = function(net) return net:cat({ net.a, net.b }, { fill = true }) end }
    assert.is_true(net(a):equal(d.cat({ a, d.zeros(2, 3) }, 2)))
  end)
end)

describe("an attention layer", function()
  local function composed(q, k, v, heads)
    local B, N, C = table.unpack(q:shape())
    local M, D = k:size(2), C // heads
    local function split(x, n) return x:reshape(B, n, heads, D):permute(1, 3, 2, 4):contiguous() end
    local p = (split(q, N):matmul(split(k, M):permute(1, 2, 4, 3):contiguous()) * D ^ -0.5):softmax(4)
    return p:matmul(split(v, M)):permute(1, 3, 2, 4):contiguous():reshape(B, N, C)
  end
  local function linear(part, x) return x:matmul(part.weight:t()) + (part.bias or 0) end

  it("attends to a context of another length and width", function()
    local net = d.nn.model(d.nn.attention(8, { heads = 2, context = 5, qkv_bias = false }))
    local x, c = d.randn(2, 6, 8), d.randn(2, 3, 5)
    local function flat(part, v) return linear(part, v:reshape(-1, v:size(3))):reshape(2, v:size(2), 8) end
    local want = flat(net.out, composed(flat(net.q, x), flat(net.k, c), flat(net.v, c), 2))
    assert.is_nil(net.q.bias)
    assert.is_true(close(net(x, c), want))
  end)

  it("is the same with one weight or three", function()
    local one = d.nn.model(d.nn.attention(8, { heads = 4 }))
    local three = d.nn.model(d.nn.attention(8, { heads = 4, fused = false }))
    for i, name in ipairs { "q", "k", "v" } do
      three[name].weight:copy_(one.qkv.weight:narrow(1, 8 * i - 7, 8))
      three[name].bias:copy_(one.qkv.bias:narrow(1, 8 * i - 7, 8))
    end
    three.out.weight:copy_(one.out.weight)
    three.out.bias:copy_(one.out.bias)
    local x = d.randn(2, 5, 8)
    assert.is_true(close(one(x), three(x)))
  end)

  it("says what of a context is missing or too much", function()
    local x = d.randn(2, 5, 8)
    fails("attention: the context of width 5 is missing", d.nn.model(d.nn.attention(8, { context = 5 })), x)
    fails("attention: a context is given, but this layer was made without context", d.nn.model(d.nn.attention(8)), x, x)
  end)
end)

describe("a file that describes a network", function()
  local m = own { width = 8 }
  local path = os.tmpname()
  teardown(function() os.remove(path) end)

  local function changed(change)
    local config = m:config()
    change(config.list)
    require "diffusion.file.container".write(path, "model", m:state(), { model = config })
    return d.load_model(path)
  end

  it("is refused with a sentence where the list is wrong", function()
    local cases = {
      { "'steps' must be a table", function(l) l.steps = nil end },
      { "'inputs' must be a table", function(l) l.inputs = 7 end },
      { "no kind of layer is named 'make'", function(l) l.steps[1].kind = "make" end },
      { "no kind of layer is named 'check'", function(l) l.steps[1].kind = "check" end },
      { "a step reads value 99", function(l) l.steps[3].inputs = { 99 } end },
      { "a step reads value 'x'", function(l) l.steps[3].inputs = { "x" } end },
      { "unknown option 'foo'", function(l) l.steps[1].options.foo = 1 end },
      { "'path' must be a string", function(l) l.steps[1].path = nil end },
      { "a path is names joined by dots", function(l) l.steps[1].path = "../x" end },
      { "must return a value of the network", function(l) l.result = 1e6 end },
      { "more parts than the file's", function(l)
        for i = 1, 50 do
          l.steps[#l.steps + 1] = { kind = "linear", path = "more" .. i, inputs = { 1 }, recompute = false,
            options = { inp = 2, out = 2, bias = true, init = "usual" } }
        end
      end },
      { "'other.weight' [2,8] is missing", function(l) l.steps[#l.steps].path = "other" end },
    }
    for _, case in ipairs(cases) do
      local ok, none, message = pcall(changed, case[2])
      assert(ok, tostring(none))
      refusal({ case[1] }, none, message)
    end
  end)

  it("makes nothing of the size that it claims", function()
    collectgarbage()
    collectgarbage()
    local before = core.memory().live
    core.memory_reset_peak()
    refusal({ "but the model's is" }, changed(function(l)
      for _, s in ipairs(l.steps) do
        local size = s.path == "inp" and "out" or "inp"
        if s.options and s.options[size] then s.options[size] = 1 << 20 end
      end
    end))
    assert.is_true(core.memory().peak - before < 1 << 20)
  end)
end)
