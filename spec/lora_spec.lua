-- Low-rank adapters: what they change, what they leave, merging, and training.
local d = require "diffusion"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local nn = d.nn

local function bits(x) return x:detach():contiguous():bytes() end

local function stir(m, size)
  for name, p in m:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * (size or 0.1)) end
  return m
end

local function unet(options)
  local o = { image = { 16, 16, 2 }, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 }, classes = 3 }
  for k, v in pairs(options or {}) do o[k] = v end
  d.manual_seed(1)
  return stir(d.unet(o))
end

local x, t, class = d.randn({ 3, 16, 16, 2 }, { seed = 5 }), { 10, 500, 900 }, { 1, 2, 0 }

-- Bytes of tensors, without those of packed weights.
local function live()
  collectgarbage()
  collectgarbage()
  local memory = d.memory()
  return memory.live - memory.packs
end

local function output(m) return m(x, t, { class = class }) end

-- Adapters whose B isn't zero.
local function moved(m, options, size)
  local lora = nn.lora(m, options)
  for name, p in lora:parameters() do
    if name:find "lora_B" then p:copy_(d.randn(p:shape(), { seed = #name }) * (size or 0.1)) end
  end
  return lora
end

local function distance(a, b) return ((a - b):norm() / b:norm()):item() end

local function paths(lora)
  local out = {}
  for name in lora:parameters() do out[#out + 1] = name:match "^(.*)%.lora_A%.weight$" end
  return out
end

-- A model of f16 values that it doesn't own, and the file.
local function adopted(m)
  local values, path = {}, os.tmpname()
  for name, p in m:parameters() do values[name] = p:to "f16" end
  require("diffusion.file.container").write(path, "model", values, { model = m:config() })
  return assert(d.load_model(path, { frozen = true })), path
end

describe("adapters", function()
  it("leave the model's bits as they were, at first", function()
    for _, options in ipairs { {}, { recompute = true } } do
      local m = unet(options)
      local before = bits(output(m))
      local lora = nn.lora(m, { rank = 3, seed = 1 })
      assert.equal(before, bits(output(m)))
      assert.equal(before, bits(output(lora)))
    end
  end)

  it("are on every product whose path matches", function()
    local m = unet()
    assert.same({ "mid.attention.attention.q", "mid.attention.attention.v", "mid.two.embed" },
      paths(nn.lora(m, { on = { "^mid.*%.[qv]$", "^mid.two.embed" } })))
    assert.same({ "mid.attention.attention.q", "mid.attention.attention.k" },
      paths(nn.lora(m, { on = { "mid_block.*to_[qk]$" } }))) -- in diffusers
    local all = paths(nn.lora(m))
    local products = 0
    for name in m:parameters() do
      local weight = name:find "%.weight$" and not name:find "norm" and not name:find "class"
      products = products + (name:find "qkv%.weight$" and 3 or weight and 1 or 0)
    end
    assert.equal(products, #all)
  end)

  it("change a dit, an mlp, a list and a module composed in Lua", function()
    local shared = nn.linear(4, 4)
    local twice = nn.model(nn.sequence(nn.linear(2, 4), shared, nn.silu, shared, nn.linear(4, 2)))
    local list = d.network { inputs = { { "x", shape = { "B", 2 } } }, build = function(net)
      local h = net:linear("one", net.x, { out = 4 })
      h = net:again("one", net:linear("back", h, { out = 2 }))
      return net:linear("two", h, { inp = 4, out = 2 })
    end }
    local points = d.randn(5, 2)
    for name, case in pairs {
      dit = { d.dit { image = { 16, 16, 2 }, width = 16, depth = 2, patch = 4, classes = 3 }, output },
      mlp = { d.mlp { hidden = 16, depth = 2 }, function(m) return m(points, 3) end },
      module = { twice, function(m) return m(points) end },
      list = { list, function(m) return m(points) end },
      conv = { nn.model(nn.conv(2, 3, { kernel = 5, stride = 2, pad = { 0, 1, 2, 3 } })), function(m) return m(x) end },
    } do
      local m, run = stir(case[1], 0.3), case[2]
      local before = run(m)
      local lora = moved(m, { rank = 2 }, 0.3)
      local after = run(m)
      assert.is_true(distance(after, before) > 1e-3, name)
      lora:merge()
      assert.is_true(distance(run(m), after) < 2e-6, ("%s: %g"):format(name, distance(run(m), after)))
      lora:unmerge()
      assert.equal(bits(after), bits(run(m)), name)
      lora:remove()
      assert.equal(bits(before), bits(run(m)), name)
    end
  end)

  it("have (alpha / rank) times a factor that can be set", function()
    local m = stir(nn.model(nn.linear(3, 2)))
    local before, point = m(d.ones(1, 3)), d.ones(1, 3)
    local lora = moved(m, { rank = 2, alpha = 4 })
    local state = lora:state()
    local change = state["lora_B.weight"]:matmul(state["lora_A.weight"]):matmul(d.ones(3, 1)):t()
    assert.is_true(m(point):allclose(before + change * 2, { rtol = 1e-6, atol = 1e-6 }))
    lora.scale = 0.25
    assert.is_true(m(point):allclose(before + change * 0.5, { rtol = 1e-6, atol = 1e-6 }))
    lora:disable()
    assert.equal(bits(before), bits(m(point)))
    assert.is_false(lora.enabled)
    lora:enable()
    assert.is_true(m(point):allclose(before + change * 0.5, { rtol = 1e-6, atol = 1e-6 }))
    fails("lora: scale: number expected, got 'much'", function() lora.scale = "much" end)
  end)

  it("take their ranks from a function of the path", function()
    local lora = nn.lora(unet(), { on = { "^inp$", "^out%." },
      rank = function(path) return path == "inp" and 2 or 5 end, alpha = function() return 1 end })
    local state = lora:state()
    assert.same({ 2, 3, 3, 2 }, state["inp.lora_A.weight"]:shape())
    assert.same({ 16, 1, 1, 2 }, state["inp.lora_B.weight"]:shape())
    assert.same({ 5, 3, 3, 16 }, state["out.conv.lora_A.weight"]:shape())
    assert.equal(2 * 9 * 2 + 16 * 2 + 5 * 9 * 16 + 2 * 5, lora:count())
    assert.is_truthy(tostring(lora):find("out.conv: rank 5, alpha 1", 1, true))
  end)

  it("begin with values that follow the seed and the path", function()
    local m = unet()
    local function values(options)
      local lora = nn.lora(m, options)
      local state = lora:state()
      lora:remove()
      return state
    end
    local all, few = values { rank = 2, seed = 7 }, values { rank = 2, seed = 7, on = "^mid" }
    assert.equal(bits(all["mid.one.embed.lora_A.weight"]), bits(few["mid.one.embed.lora_A.weight"]))
    assert.not_equal(bits(few["mid.one.embed.lora_A.weight"]),
      bits(values { rank = 2, seed = 8 }["mid.one.embed.lora_A.weight"]))
    assert.is_true(all["mid.one.one.conv.lora_A.weight"]:abs():max():item() <= 1 / math.sqrt(9 * 32))
    local normal = values { rank = 8, init = "gaussian", on = "^mid" }["mid.one.one.conv.lora_A.weight"]
    assert.is_true(math.abs(normal:std():item() * 8 - 1) < 0.05)
  end)

  it("add up where there are several, and come off in any order", exactly(function()
    local m = unet()
    local before = output(m)
    local one, two = moved(m, { rank = 2, on = "attention" }), moved(m, { rank = 3 }, -0.1)
    local both = output(m)
    one:disable()
    local second = output(m)
    one:enable()
    one:merge()
    two:merge()
    assert.is_true(distance(output(m), both) < 1e-5)
    one:unmerge()
    assert.is_true(distance(output(m), both) < 1e-5)
    one:disable()
    assert.is_true(distance(output(m), second) < 1e-5)
    two:unmerge()
    assert.equal(bits(second), bits(output(m)))
    two:remove()
    one:remove()
    assert.equal(bits(before), bits(output(m)))
  end))

  it("give the same bits for any number of threads, and alone or in a batch", function()
    local m = unet()
    moved(m, { rank = 5 })
    local threads = d.threads()
    local want = output(m)
    for n = 1, 3 do
      d.threads(n)
      assert.equal(bits(want), bits(output(m)))
    end
    d.threads(threads)
    for k = 1, 3 do
      local alone = m(x:narrow(1, k, 1), t[k], { class = class[k] })
      assert.equal(bits(want:narrow(1, k, 1)), bits(alone))
    end
  end)

  it("stay in the weights if they are removed while merged", exactly(function()
    local m = unet()
    local before = output(m)
    local one, two = moved(m, { rank = 2 }), moved(m, { rank = 2, on = "^mid" }, -0.1)
    two:disable()
    local first = output(m)
    two:enable()
    two:merge()
    one:merge()
    assert.equal(m, one:remove())
    local merged = output(m)
    two:unmerge()
    two:remove()
    assert.is_true(distance(output(m), first) < 1e-5)
    assert.is_true(distance(merged, first) > 1e-3 and distance(first, before) > 1e-3)
    fails("lora: these adapters were removed from their model", one, x, t)
    fails("merge: these adapters were removed", one.merge, one)
  end))

  it("change f16 weights that are adopted, which stay on their file", exactly(function()
    local m, path = adopted(unet())
    local before, whole = output(m), {}
    for name, p in m:parameters() do whole[name] = bits(p) end
    local lora = moved(m, { rank = 2 })
    local after = output(m)
    assert.is_true(distance(after, before) > 1e-3)
    local held, products = live(), 0
    for name, p in m:parameters() do
      if p:dim() > 1 and not name:find "class" then products = products + p:numel() end
    end
    lora:merge()
    local more = (live() - held) / #core.zeros(1):bytes()
    assert.is_true(0.9 * products < more and more < 1.1 * products, ("%d and %d"):format(products, more))
    assert.is_true(distance(output(m), after) < 2e-6)
    assert.equal(core.real, m:state()["inp.weight"]:dtype())
    lora:unmerge()
    assert.equal(bits(after), bits(output(m)))
    for name, p in m:parameters() do
      assert.equal("f16", p:dtype())
      assert.equal(whole[name], bits(p))
    end
    lora:remove()
    assert.equal(bits(before), bits(output(m)))
    os.remove(path)
  end))

  it("don't hide that merged weights were written to", function()
    local m = unet()
    local lora = moved(m, { on = "^inp$" }):merge()
    m:state()["out.norm.weight"]:mul_(2) -- isn't adapted
    lora:unmerge():merge()
    m:state()["inp.weight"]:mul_(2)
    fails("lora: 'inp.weight' or its adapters were written to after merge()", lora.unmerge, lora)
    lora:remove()
    assert.is_false(m(x, t, { class = class }):isfinite():eq(0):any())
  end)

  it("say what they can't do", function()
    local m = unet()
    fails("no linear layer or convolution matches 'up.9'; the first is 'time.one'", nn.lora, m,
      { on = { "^mid", "up.9" } })
    fails("option 'on': entry 2: a pattern of Lua's expected, got '['", nn.lora, m, { on = { "a", "[" } })
    fails("option 'rank': integer or function in [1, 1048576] expected, got 0", nn.lora, m, { rank = 0 })
    fails("lora: rank of 'time.one': integer in [1, 1048576] expected, got 1.5", nn.lora, m,
      { rank = function() return 1.5 end })
    fails("model expected, got function", nn.lora, output)
    fails("the model has no linear layer and no convolution", nn.lora, nn.model(nn.layer_norm(3)))
    local lora = nn.lora(m)
    fails("nn.lora takes the model again for more adapters", nn.lora, lora)
    fails("unmerge: the adapters aren't merged", lora.unmerge, lora)
    lora:merge()
    fails("merge: the adapters are merged into the model's weights", lora.merge, lora)
    fails("scale: the adapters are merged", function() lora.scale = 2 end)
    fails("disable: the adapters are merged", lora.disable, lora)
    fails("load_state: the adapters are merged", lora.load_state, lora, {})
    lora:unmerge():disable()
    fails("merge: the adapters are disabled", lora.merge, lora)
    fails("a lora has no 'ranks'", function() return lora.ranks end)
  end)
end)

describe("training adapters", function()
  local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "v" }
  local objective = d.objective { process = process }

  it("moves them alone, and keeps gradients and moments for them alone", function()
    local m = unet()
    local lora = nn.lora(m, { rank = 2, on = "attention" })
    assert.equal(0, (select(2, m:count())))
    local before = {}
    for name, p in m:parameters() do before[name] = bits(p) end
    local all, few = m:count(), lora:count()
    assert.is_true(few < all / 20)
    local held, numbers = live(), #core.zeros(1):bytes()
    local opt = d.adamw(lora, { lr = 1e-2 })
    for _ = 1, 3 do
      d.record(objective, lora, x, { class = { 1, 2, 3 } }):backward()
      assert.is_true(opt:step { zero = false } > 0)
    end
    local more = (live() - held) / numbers -- gradients and two moments
    assert.is_true(3 * few <= more and more < all / 8, ("%d of %d"):format(more, all))
    for name, p in m:parameters() do
      assert.is_nil(p.grad)
      assert.equal(before[name], bits(p), name)
    end
    for name, p in lora:parameters() do assert.is_true(p.grad:abs():max():item() > 0, name) end
  end)

  it("gives the same gradients with recomputation, dropout included", function()
    local function gradients(recompute)
      local m = unet { recompute = recompute, dropout = 0.2 }
      local lora = moved(m, { rank = 2, dropout = 0.3, seed = 1 })
      d.manual_seed(4)
      d.record(objective, m, x, { class = class }):backward()
      local out = {}
      for _, p in lora:parameters() do out[#out + 1] = bits(p.grad) end
      return table.concat(out)
    end
    assert.equal(gradients(false), gradients(true))
  end)

  it("drops elements before A in d.record only, and not after eval", function()
    local m = nn.model(nn.sequence(nn.norm_conv(8, 8), nn.linear(8, 8)))
    stir(m)
    local lora, images = moved(m, { dropout = 0.5 }), d.randn({ 2, 8, 8, 8 }, { seed = 1 })
    local still = bits(m(images))
    assert.not_equal(still, bits(d.record(m, images)))
    assert.not_equal(bits(d.record(m, images)), bits(d.record(m, images)))
    lora:eval()
    assert.equal(still, bits(d.record(m, images)))
    lora:train()
    assert.not_equal(still, bits(d.record(m, images)))
  end)

  it("notices a change of adapters between a recomputed forward and its backward", function()
    for name, change in pairs {
      scale = function(lora) lora.scale = 2 end,
      remove = function(lora) lora:remove() end,
      write = function(lora) lora:state()["mid.one.one.conv.lora_B.weight"]:mul_(2) end,
    } do
      local m = unet { recompute = true }
      local lora = moved(m, { on = "^mid" })
      local loss = d.record(objective, m, x, { class = class })
      change(lora)
      assert.is_false(pcall(loss.backward, loss), name)
    end
  end)

  it("resumes from a checkpoint that holds the adapters alone, bit for bit", function()
    local function training(path)
      local m = unet()
      local lora = nn.lora(m, { rank = 2, seed = 3 })
      local ema = d.ema(lora, { decay = 0.9 })
      local opt = d.adamw(lora, { lr = 1e-2, clip = 1, ema = ema })
      local set = d.data.set { x = x, class = d.tensor({ 1, 2, 3 }):to "i64" }
      return { lora = lora, ema = ema, run = function(steps)
        return d.trainer { model = lora, opt = opt, objective = objective, ema = ema, checkpoint = path, quiet = true,
          batches = set:batches { size = 2, steps = steps, seed = 1 } }:run()
      end }
    end
    local path, other = os.tmpname(), os.tmpname()
    os.remove(path) os.remove(other)
    d.manual_seed(9)
    local whole = training(path)
    assert(whole.run(6))
    d.manual_seed(9)
    assert(training(other).run(3))
    local file = assert(io.open(other, "rb"))
    assert.is_true(file:seek "end" < 8 * whole.lora:count() * #core.zeros(1):bytes())
    file:close()
    local resumed = training(other)
    assert(resumed.run(6))
    for name, p in whole.lora:parameters() do
      assert.equal(bits(p), bits(resumed.lora:state()[name]), name)
      assert.equal(bits(whole.ema:state()[name]), bits(resumed.ema:state()[name]), name)
    end
    assert.equal(bits(whole.ema(x, 3)), bits(resumed.ema(x, 3)))
    assert.not_equal(bits(whole.ema(x, 3)), bits(whole.lora(x, 3)))
    os.remove(path) os.remove(other)
  end)

  it("works on weights that are adopted", function()
    local m, path = adopted(unet())
    local lora = nn.lora(m, { rank = 4 })
    local opt, first, last = d.adamw(lora, { lr = 5e-3 }), nil, nil
    for _ = 1, 30 do
      d.manual_seed(1)
      local loss = d.record(objective, lora, x, { class = class })
      loss:backward()
      opt:step()
      first, last = first or loss:item(), loss:item()
    end
    assert.is_true(last < 0.7 * first, ("%g after %g"):format(last, first))
    assert.equal("f16", m:state()["inp.weight"]:dtype())
    os.remove(path)
  end)

  it("goes through d.sample, guidance and averages as a model's", function()
    local m = unet()
    local lora = moved(m)
    local options = { process = process, shape = { 1, 16, 16, 2 }, steps = 2, seed = 1, class = 2, guidance = 2 }
    local function drawn(model)
      options.model = model
      return bits(d.sample(options))
    end
    assert.equal(drawn(m), drawn(lora))
    assert.equal(drawn(m), drawn(d.ema(lora)))
    lora:disable()
    assert.not_equal(drawn(d.ema(lora)), drawn(moved(m, { rank = 1 }):enable()))
  end)
end)

describe("an optimiser", function()
  it("reports a parameter that was unfrozen after it was made", function()
    local m = unet()
    m:freeze { "^down", "^up" }
    local opt = d.adamw(m)
    local function step()
      d.record(function() return output(m):square():mean() end):backward()
      return opt:step()
    end
    assert.is_true(step() > 0)
    m:unfreeze "^down"
    fails("step: 'down.1.block.1.one.norm.weight' was unfrozen after the optimiser was made, and no optimiser moves "
      .. "it; make a new d.adamw(model), or freeze it", step)
    m:freeze "^down"
    assert.is_true(step() > 0)
    m:freeze():unfreeze "^down"
    local second = d.adamw(m)
    m:unfreeze { "^mid", "^time" } -- moved by the first
    assert.is_true(step() > 0)
    assert.is_true(second:step() > 0)
  end)
end)

describe("freezing", function()
  it("takes a list of patterns", function()
    local m = unet()
    m:freeze { "^down", "norm" }
    local trainable = {}
    d.record(function() return output(m):square():mean() end):backward()
    for name, p in m:parameters() do
      trainable[#trainable + 1] = p.grad and name or nil
      assert.equal(p.grad == nil, (name:find "^down" or name:find "norm") ~= nil, name)
    end
    assert.is_true(#trainable > 10)
    m:unfreeze { "^down", "norm" }
    assert.equal(m:count(), (select(2, m:count())))
    fails("freeze: no parameter matches 'dwon'; the first is 'time.one.weight'", m.freeze, m, { "^up", "dwon" })
    assert.equal(m:count(), (select(2, m:count()))) -- nothing was frozen
    fails("(a pattern of Lua's expected, got 3)", m.freeze, m, { "a", 3 })
    fails("(a pattern of Lua's or a list of them expected, got table)", m.freeze, m, {})
  end)

  it("of adopted values copies what is unfrozen, and the rest stays", function()
    local m, path = adopted(unet())
    m:unfreeze { "^out", "^mid.*norm" }
    for name, p in m:parameters() do
      local own = name:find "^out" or name:find "^mid.*norm"
      assert.equal(own and core.real or "f16", p:dtype(), name)
    end
    os.remove(path)
  end)

  it("of adopted values makes room once for all of them", function()
    local m, path = adopted(unet())
    local bytes = m:count() * (core.real == "f64" and 8 or 4)
    collectgarbage()
    core.memory_reset_peak()
    local before = core.memory().live
    m:unfreeze()
    local more = core.memory().peak - before
    assert(more < 1.2 * bytes, ("%d bytes for values of %d"):format(more, bytes))
    os.remove(path)
  end)
end)

describe("an average of adopted values", function()
  it("never writes to them", function()
    local m, path = adopted(unet())
    m:unfreeze "^out"
    local ema = d.ema(m)
    local before, state = bits(m:state()["inp.weight"]), {}
    for name, value in pairs(ema:state()) do state[name] = value:to(core.real):clone() end
    ema:load_state(state)
    state["out.conv.weight"] = state["out.conv.weight"] + 1
    ema:load_state(state)
    assert.equal(bits(state["out.conv.weight"]), bits(ema:state()["out.conv.weight"]))
    assert.not_equal(bits(state["out.conv.weight"]), bits(m:state()["out.conv.weight"]))
    state["inp.weight"] = state["inp.weight"] + 1
    fails("load_state: 'inp.weight' is adopted, so its average is its value; the state has another one",
      ema.load_state, ema, state)
    assert.equal(before, bits(m:state()["inp.weight"]))
    os.remove(path)
  end)
end)
