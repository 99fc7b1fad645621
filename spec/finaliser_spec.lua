-- Lua runs finalisers at any allocation, also in the middle of calls of diffusion.
-- Finalisers may compute, free, open and close without disturbing those calls.
local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"
local fails = require "spec.support.fails"

local batches, each = 4, 200

-- Calls fn over and over while finalisers call `work`, a few at each of Lua's allocations;
-- how often they did.
local function amid(work, fn)
  local hits, going = 0, true
  local meta = { __gc = function()
    if not going then return end
    hits = hits + 1
    work()
  end }
  collectgarbage()
  collectgarbage("incremental", 100, 1, 1)
  local ok, message = pcall(function()
    for batch = 1, batches do
      collectgarbage "stop"
      for _ = 1, each do setmetatable({}, meta) end
      while hits < (batch - 1) * each + 1 do collectgarbage("step", 64) end
      collectgarbage "restart"
      for _ = 1, 100 do
        if hits < batch * each then fn() end
      end
      collectgarbage()
    end
  end)
  going = false
  collectgarbage("incremental", 200, 100, 13)
  assert(ok, message)
  return hits
end

local a = d.arange(1, 8):to(core.real)

local function compute() return (a * 3):sum() + d.full({ 8 }, 7) end

local x = d.arange(1, 8):to(core.real)

-- The tensors that a call holds while Lua allocates, and the expected results.
local calls = {
  ["an op"] = { 36 + 8 * 5, function() return (x + 5):sum():item() end },
  ["a sign"] = { -36, function() return (-x):sum():item() end },
  ["a table"] = { 44, function() return (x + { 1, 1, 1, 1, 1, 1, 1, 1 }):sum():item() end },
  ["coefficients in lists"] = { 72, function() return d.mix({ 1, 1, 1, 1, 1, 1, 1, 1 }, x, 1, x):sum():item() end },
  ["two results"] = { 8 * 8 + 1, function()
    local values, places = x:sort(1, true)
    return values[1] * places[8] * 8 + places[8]
  end },
  ["a range"] = { 5, function() return x:view(2, 4)[{ 2, { 1, 2 } }][1] end },
  ["a window"] = { 26, function() return x:view(2, 4):narrow(1, 2, 1):sum():item() end },
  ["an iterator"] = { 36, function()
    local sum = 0
    for _, row in x:view(2, 4):iter() do sum = sum + row:sum():item() end
    return sum
  end },
  ["bytes"] = { 36, function() return d.frombytes((x * 1):view(4, 2):t():bytes(), { 8 }):sum():item() end },
  ["a list"] = { 72, function() return d.stack { x * 1, x * 1 }:sum():item() end },
  ["a gradient"] = { 2 * 36, function() return d.grad(function(v) return (v * v):sum() end, x):sum():item() end },
  ["a guest"] = { 3 * 8, function()
    local triple = d.nn.guest(function(v) return v * 3 end, function(dy) return dy * 3 end)
    return d.grad(function(v) return triple(v):sum() end, x):sum():item()
  end },
  ["a scope"] = { 72, function() return d.scope(function() return (x * 1 + x * 1):sum() end):item() end },
  ["a process"] = { 0, function()
    local schedule = d.schedule.cosine { T = 10 }
    local process = d.process { schedule = schedule }
    local xt = process:q_sample(x:view(2, 4), { 3, 7 }, d.zeros(2, 4))
    local want = 10 * schedule:signal(3) + 26 * schedule:signal(7)
    return math.abs(xt:sum():item() - want) < 1e-4 and 0 or xt:sum():item()
  end },
  ["eigenvalues"] = { 2, function()
    local values, vectors = d.linalg.eigh(d.eye(2))
    return values:sum():item() * vectors:square():sum():item() / 2
  end },
}

describe("a finaliser that computes", function()
  for name, call in pairs(calls) do
    it("leaves " .. name .. " alone", function()
      local wrong = 0
      local hits = amid(compute, function()
        if call[2]() ~= call[1] then wrong = wrong + 1 end
      end)
      assert.equal(0, wrong)
      assert.equal(batches * each, hits)
    end)
  end

  -- A call collects garbage when it begins, if memory is over a limit, and again when it
  -- makes the box of its result. A failure in the first collection must not release
  -- tensors made since.
  it("leaves what a call has made alone where one before it failed", function()
    local ballast, live = d.zeros(1 << 20), core.memory().live
    local going, hits, wrong = true, 0, 0
    local meta = {}
    function meta.__gc()
      if not going then return end
      hits = hits + 1
      setmetatable({}, meta)
      compute()
      pcall(function() return a + d.ones(3) end)
    end
    setmetatable({}, meta)
    collectgarbage("incremental", 1, 1000, 30)
    for i = 1, 200 do
      d.memory_limit(live + live // 2 + i)
      local y = x:narrow(1, 2, 3)
      if y[1] ~= 2 or y[3] ~= 4 then wrong = wrong + 1 end
    end
    going = false
    d.memory_limit(0)
    collectgarbage("incremental", 200, 100, 13)
    ballast:free()
    assert.is_true(hits >= 400)
    assert.equal(0, wrong)
  end)

  it("may fail, open scopes and records, and collect", function()
    local wrong = 0
    amid(function()
      pcall(function() return a + d.ones(3) end)
      pcall(d.scope, function() return d.record(function() return a + d.ones(3) end) end)
      d.grad(function(v) return v:sum() end, a)
    end, function()
      d.scope(function()
        local y = x * 2
        if (y + 1):sum():item() ~= 80 then wrong = wrong + 1 end
      end)
    end)
    assert.equal(0, wrong)
    assert.is_false(core.recording())
  end)

  it("doesn't change the message of an error that is on its way", function()
    amid(function() pcall(function() return d.ones(7):view(6) end) end, function()
      fails("[5]", function() return d.ones(5):view(4) end)
    end)
  end)
end)

describe("what runs within a call", function()
  it("may free its tensors: they stay until it ends", function()
    local z = d.arange(1, 4):to(core.real)
    local options = setmetatable({}, { __index = function(_, k)
      if k == "epsilon" then z:free() end
    end })
    local y = z:layer_norm(nil, nil, options)
    assert.near(-1.3416, y[1], 1e-3)
    fails("freed tensor", function() return z:sum() end)
  end)

  it("may end the scope of its tensors", function()
    local guard = core.scope_open()
    local z = d.ones(4) * 2
    local y = z:layer_norm(nil, nil, setmetatable({}, { __index = function() guard:keep() end }))
    assert.equal(0, y:sum():item())
    fails("freed tensor", function() return z:sum() end)
  end)

  it("may close its file", function()
    local folder = child.folder()
    child.write(folder .. "/letters", ("abcdefgh"):rep(1000))
    local file, read
    amid(function()
      if file then file:close() end
    end, function()
      file = core.map(folder .. "/letters")
      local ok, part = pcall(file.part, file, 8, 4)
      if ok then read = part:text(0, 4) end
    end)
    child.remove(folder)
    assert.equal("abcd", read)
  end)

  it("can't walk the record that the call walks", function()
    local model = d.mlp { hidden = 4, depth = 1 }
    for _, p in model:parameters() do p:fill_(0.5) end
    local echo = d.nn.guest(function(v) return v * 1 end, function(dy) return dy end)
    local loss = d.record(function() return echo(model(d.ones(2, 2), 1)):sum() end)
    local walks, said = 0, "being walked"
    local function walk()
      local ok, message = pcall(loss.backward, loss, { keep = true })
      if ok then walks = walks + 1 else said = message end
    end
    walk()
    local w = select(2, model:parameters()())
    local once = w.grad:clone()
    amid(walk, walk)
    assert.truthy(said:find "being walked", said)
    assert.is_true(w.grad:allclose(once * walks, { rtol = 1e-3 }))
  end)

  it("has what errors left let go of when the next call comes", function()
    collectgarbage()
    local before = core.memory().blocks
    for _ = 1, 5 do
      pcall(function() return d.mix(1, d.ones(2), "no number", d.ones(2)) end)
      pcall(d.cross_entropy, { { 1, 2 } }, "no class")
    end
    collectgarbage()
    collectgarbage()
    assert.equal(before, core.memory().blocks)
  end)
end)

describe("a call that fails", function()
  it("holds nothing while the session at the prompt goes on", function()
    local function blocks()
      collectgarbage()
      collectgarbage()
      return core.memory().blocks
    end
    core.at_prompt(function()
      local before = blocks()
      for _ = 1, 5 do core.attended(function() return d.ones(3) + d.ones(4) end) end
      d.ones(1):free()
      assert.equal(before, blocks())
    end)
  end)
end)

-- Finalisers run in the reverse order of their creation. So if a finaliser holds an
-- object that was made later, that object's finaliser has already run.
describe("an object whose finaliser has run", function()
  local square = d.ones(2, 2)
  local uses = {
    layer = { function() return d.nn.linear(2, 2) end, {
      function(l) return l(square) end, function(l) return l.weight end, tostring, d.nn.model,
      function(l) return l == d.nn.linear(2, 2) end, core.layer_parts, core.layer_elements, core.layer_kind,
      function(l) core.layer_set_eval(l, true) end } },
    model = { function() return d.mlp { hidden = 4, depth = 1 } end, {
      function(m) return m(square, 1) end, function(m) return m:count() end, function(m) return m:parameters()() end,
      function(m) m:freeze "weight" end, d.adamw, function(m) return d.ema(m, { decay = 0.9 }) end } },
    optimiser = { function() return d.adamw(d.mlp { hidden = 4, depth = 1 }) end, {
      function(o) return o:step() end, function(o) o:zero() end } },
    averages = { function() return d.ema(d.mlp { hidden = 4, depth = 1 }, { decay = 0.9 }) end, {
      function(e) return e(square, 1) end, function(e) e:update() end } },
    schedule = { function() return d.schedule.cosine { T = 10 } end, {
      function(s) return s.T end, function(s) return s:sigma(2) end, function(s) return s:beta(2) end,
      function(s) return s:prior_kl() end, function(s) return s:level_of_sigma(1) end } },
    process = { function() return d.process { schedule = d.schedule.cosine { T = 10 } } end, {
      function(p) return p:q_sample(square, 2) end, function(p) return p:posterior(square, square, 3) end } },
    record = { function() return core.record_open "inputs" end, {
      function(r) return r:want(square) end, function(r) return r:gradient(square) end,
      function(r) return r:value(square) end } },
  }
  for name, case in pairs(uses) do
    it("is refused: " .. name, function()
      local messages = {}
      do
        local first = setmetatable({}, { __gc = function(own)
          for i, use in ipairs(case[2]) do messages[i] = tostring(select(2, pcall(use, own.object))) end
        end })
        first.object = case[1]()
      end
      collectgarbage()
      collectgarbage()
      assert.equal(#case[2], #messages)
      for i, message in ipairs(messages) do assert.truthy(message:find("finaliser has run", 1, true), i .. message) end
    end)
  end
end)

describe("a finaliser set before the library, as the Lua state closes,", function()
  it("gets an error of every function", function()
    local folder = child.folder()
    child.write(folder .. "/closing.lua", [[
      local calls, d, core = {}
      local guard = setmetatable({}, { __gc = function()
        local refused, ran = 0, {}
        for name, call in pairs(calls) do
          local ok, message = pcall(call)
          if not ok and tostring(message):find "closing" then refused = refused + 1
          elseif ok then ran[#ran + 1] = name end
        end
        print(refused, table.concat(ran, " "))
      end })
      d, core = require "diffusion", require "diffusion.core"
      local x = d.ones(2, 2)
      local model = d.mlp { hidden = 4, depth = 1 }
      local opt, g, s = d.adamw(model, { lr = 1 }), d.generator(), d.schedule.cosine { T = 4 }
      local function add(list, name, own)
        for k, f in pairs(list) do
          if type(f) == "function" then calls[name .. k] = function() return f(own, 1, 2) end end
          if type(f) == "table" and list == core then add(f, name .. k .. ".", nil) end
        end
      end
      add(core, "core.", x)
      add(getmetatable(x).__methods, "tensor:", x)
      calls.add = function() return x + x end
      calls.sign = function() return -x end
      calls.length = function() return #x end
      calls.index = function() return x[1] end
      calls.write = function() x[1] = 2 end
      calls.model = function() return model(x, 1) end
      calls.scope = function() return d.scope(function() return x + 1 end) end
      calls.record = function() return d.record(function() return x + 1 end) end
      calls.step = function() return opt:step() end
      calls.draw = function() return g:randn(2) end
      calls.level = function() return s:sigma(2) end
      local held = d.record(function() return model(x, 1):sum() end)
      calls.walk = function() return held:backward() end
    ]])
    local text, code = child.run(folder .. "/closing.lua")
    child.remove(folder)
    assert.equal(0, code, text)
    local refused, ran = text:match "^(%d+)\t([^\n]*)\n"
    assert.truthy(refused, text)
    assert.is_true(tonumber(refused) > 150, text)
    -- functions that need nothing of the state
    for name in ran:gmatch "%S+" do assert.truthy(name:find "free$", text) end
  end)
end)
