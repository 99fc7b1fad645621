-- Files of the library with wrong numbers. A network is compared with the file's tensors
-- before anything is built. Counters and histories are checked before they are used. A
-- refused file gives nil and a sentence, and changes nothing. An accepted file can be
-- used.
local d = require "diffusion"
local core = require "diffusion.core"
local container = require "diffusion.file.container"
local forge = require "spec.support.forge"
local header = require "diffusion.file.safetensors_header"
local json = require "diffusion.file.json"
local model_of = require "diffusion.nn.model"
local says = require "spec.support.refusal"

-- As the library writes it, but not waiting for the disk.
local WRITTEN = { f32 = "F32", f64 = "F64" }
local function bytes_of(kind, tensors, facts)
  local list, parts = {}, {}
  for name, x in pairs(tensors) do list[#list + 1] = { name = name, dtype = WRITTEN[x:dtype()], shape = x:shape() } end
  parts[1] = header.write(list, { format = "diffusion", version = "1", kind = kind, facts = json.encode(facts) })
  for i, t in ipairs(list) do parts[i + 1] = tensors[t.name]:bytes() end
  return table.concat(parts)
end

-- Writes it over the last one: what was loaded of that may not be mapped any more.
local path
local function at(kind, tensors, facts)
  path = path or forge.file ""
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(bytes_of(kind, tensors, facts)))
  return path
end

local function clean()
  forge.clean()
  path = nil
end

local function copied(value)
  if type(value) ~= "table" or value == json.null then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = copied(v) end
  return out
end

-- Wrong values of a field; nil removes it.
local LIES = { nil, -1, 0, 1, 3, 1.5, 1e300, 1 << 62, 0 / 0, math.huge, "x", true, {}, { 1 }, { { 1, 2 } },
  { tensor = "x" }, { tensor = "none" }, { value = 1 }, { entries = { { "t", { value = -1 } } } }, json.null,
  { "\1tensor", "none" }, { "\1pairs", 1 }, { "\1shared", 1, "t", 2 }, { "\1again", 9 } }
local COUNT = 24

-- Calls fn(facts, place) with one field of the table changed at a time, at all depths.
-- Each field gets a fourth of the wrong values, and the next field gets the next fourth.
local function each_lie(facts, fn)
  local whole, turn = copied(facts), 0
  local function walk(t, place)
    local keys = {}
    for k in pairs(t) do keys[#keys + 1] = k end
    for _, k in ipairs(keys) do
      local kept, here = t[k], place .. "." .. tostring(k)
      turn = turn % 4 + 1
      for i = turn, COUNT, 4 do
        t[k] = LIES[i]
        if LIES[i] == nil and #t > 0 then t[k] = json.null end
        fn(whole, ("%s, lie %d"):format(here, i))
      end
      t[k] = kept
      if type(kept) == "table" then walk(kept, here) end
    end
  end
  walk(whole, "facts")
end

-- A loader's answer: true, or nil and a sentence; never an error.
local function answers(place, load)
  local fine, ok, message = pcall(load)
  if not fine then error(place .. ": " .. tostring(ok), 0) end
  if not ok then assert(type(message) == "string", place) end
  return ok
end

-- A run either finishes, or raises the error that its samples are not finite.
local function finishes(place, run)
  local fine, message = pcall(run.finish, run)
  assert(fine or message:find "aren't finite", place .. ": " .. tostring(message))
end

describe("a model file that lies", function()
  after_each(clean)

  local small = {
    mlp = function() return d.mlp { hidden = 4, depth = 1, classes = 2 } end,
    unet = function() return d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1 }, blocks = 1, groups = 2 } end,
    dit = function() return d.dit { image = { 4, 4, 1 }, width = 4, heads = 1, depth = 1 } end,
  }

  it("of more blocks than its tensors is refused before they are made", function()
    local blocks = { mlp = "depth", unet = "blocks", dit = "depth" }
    for kind, make in pairs(small) do
      local m, n = make(), 0
      for _ in m:parameters() do n = n + 1 end
      for _, count in ipairs { 1000, 100000 } do
        local config = m:config()
        config[blocks[kind]] = count
        says({ "the " .. kind .. " that is described has more parts", ("%d tensors"):format(n) },
          d.load_model(at("model", m:state(), { model = config })))
      end
      for _, count in ipairs { 100001, 1000000000, 1 << 62 } do
        local config = m:config()
        config[blocks[kind]] = count
        says({ blocks[kind], ("%d"):format(count) }, d.load_model(at("model", m:state(), { model = config })))
      end
    end
  end)

  it("of other widths is refused before room is made for them", function()
    local sizes = { mlp = { "dim", "hidden", "classes" }, unet = { "channels", "classes" },
                    dit = { "width", "ratio", "patch", "classes" } }
    d.memory_limit(core.memory().live + (64 << 20))
    for kind, make in pairs(small) do
      local m = make()
      for _, name in ipairs(sizes[kind]) do
        for _, size in ipairs { 1 << 20, 1 << 62 } do
          local config = m:config()
          config[name] = size
          local nothing, message = d.load_model(at("model", m:state(), { model = config }))
          assert.is_nil(nothing)
          assert(not message:find "memory" and message:find(name == "classes" and "class" or "%[", 1), message)
        end
      end
    end
    d.memory_limit(0)
  end)

  it("is a network's only with all of its tensors, and no others", function()
    local m = small.mlp()
    local state = m:state()
    state["time.class.weight"] = nil
    says({ "time.class.weight", "missing" }, d.load_model(at("model", state, { model = m:config() })))
    state = m:state()
    state.more = d.zeros(2)
    says({ "'more'" }, d.load_model(at("model", state, { model = m:config() })))
    assert.is_truthy(d.load_model(at("model", m:state(), { model = m:config() })))
  end)

  it("never raises, whatever a field says, and what it gives has the file's values", function()
    for kind, make in pairs(small) do
      local m = make()
      local p = d.process { schedule = d.schedule.linear { T = 40 } }
      local q = d.process { schedule = d.schedule.linear { T = 30 }:rescale_zero_terminal_snr(), predict = "v",
        variance = "optimal", x0_error = { { 1, 0.5 }, { 2, 0.6 } } }
      for _, process in ipairs { p, kind == "mlp" and q or nil } do
        each_lie({ model = m:config(), process = process:config() }, function(facts, place)
          local file = at("model", m:state(), facts)
          local again = answers(kind .. " " .. place, function() return d.load_model(file) end)
          if again then assert(not model_of.mismatch(again:parameters(), m:state()), place) end
        end)
      end
    end
  end)

  it("has levels that can be a schedule's", function()
    local m, columns = small.mlp(), { name = "own", vp = true, ln_signal = { -0.1, -0.2 },
      ln_noise = { math.log(1 - math.exp(-0.2)) / 2, math.log(1 - math.exp(-0.4)) / 2 } }
    local function load(change)
      local s = copied(columns)
      change(s)
      return d.load_model(at("model", m:state(), { model = m:config(), process = { schedule = s } }))
    end
    assert.is_truthy(load(function() end))
    says({ "t = 1" }, load(function(s) s.ln_signal[1] = 0.1 end))
    says({ "t = 2" }, load(function(s) s.ln_noise[2] = 0 / 0 end))
    says({ "t = 1" }, load(function(s) s.vp, s.ln_noise[1] = false, math.huge end))
    says({ "name" }, load(function(s) s.name = { "own" } end))
    says({ "100000", "1000000000000" }, load(function(s)
      for k in pairs(s) do s[k] = nil end
      s.name, s.T = "flow", 1000000000000
    end))
    says({ "100000", "100001" }, load(function(s)
      for k in pairs(s) do s[k] = nil end
      s.name, s.T = "linear", 100001
    end))
  end)
end)

describe("a run's file that lies", function()
  after_each(clean)

  local p = d.process { schedule = d.schedule.cosine { T = 50 }, predict = "v" }
  local function run_of(sampler, options)
    local o = { model = function(x) return x * 0.5 end, process = p, shape = { 2, 3 }, sampler = sampler, steps = 4,
                seed = 1 }
    for k, v in pairs(options or {}) do o[k] = v end
    return d.sampler.steps(o)
  end

  local function told(run)
    local file = forge.file ""
    assert(run:save(file))
    local tensors, metadata = d.load(file)
    return tensors, json.decode(metadata.facts)
  end

  local solvers = { "unipc", "dpmpp_3m", "sa_solver", "dpmpp_singlestep", "lms" }

  it("never fails later: what is taken goes on to the end", function()
    for _, sampler in ipairs(solvers) do
      local run = run_of(sampler)
      run()
      run()
      local tensors, facts = told(run)
      local own = copied(facts)
      facts.levels, facts.grid = nil, nil -- strings and lists of their own, below
      each_lie(facts, function(lying, place)
        local whole = copied(lying)
        whole.levels, whole.grid = own.levels, own.grid
        local file, other = at("run", tensors, whole), run_of(sampler)
        local x = other.x
        local ok = answers(sampler .. " " .. place, function() return other:load(file) end)
        if ok then finishes(sampler .. " " .. place, other)
        else assert(other.x == x and other.i == 0 and other.seed == 1, place) end
      end)
    end
  end)

  it("has the grid and the counters of such a run", function()
    local run = run_of "unipc"
    run()
    local tensors, facts = told(run)
    local function load(change, with)
      local other, lying = run_of "unipc", copied(facts)
      change(lying)
      return other:load(at("run", with or tensors, lying))
    end
    assert.is_true(load(function() end))
    says({ "its i is 5", "0..4" }, load(function(f) f.i = 5 end))
    says({ "its i is 1.5" }, load(function(f) f.i = 1.5 end))
    says({ "its draws is -1" }, load(function(f) f.draws = -1 end))
    says({ "its draws", "4294967295" }, load(function(f) f.draws = 1 << 32 end))
    says({ "its evaluations" }, load(function(f) f.evaluations = nil end))
    says({ "its seed is 'x'" }, load(function(f) f.seed = "x" end))
    says({ "grid" }, load(function(f) f.grid = nil end))
    says({ "its step 2" }, load(function(f) f.grid[2] = { 1 } end))
    says({ "its step 2" }, load(function(f) f.grid[2] = 7 end))
    says({ "history" }, load(function(f) f.history = nil end))
    says({ "unipc stores for x [2,3]" }, load(function() end, (function()
      local other = copied(tensors)
      for name in pairs(tensors) do if name ~= "x" then other[name] = d.zeros(3, 3) end end
      return other
    end)()))
    says({ "'m'", "unipc" }, load(function(f) f.form, f.history = nil, { entries = { { "m", { tensor = "x" } } } } end))
    says({ "'x' without 't'" }, load(function(f)
      f.form, f.history = nil, { entries = { { "x", { tensor = "x" } } } }
    end))
    for _, t in ipairs { 51, 0.5, -1 } do -- real levels start at 1 in this schedule
      says({ "'t'" }, load(function(f) f.form, f.history = nil, { entries = { { "t", { value = t } } } } end))
    end
    says({ "history.x" }, load(function(f) f.form, f.history = nil, { entries = { { "x", { tensor = "lost" } } } } end))
  end)

  it("gives a history that outlives the scope in which it was loaded", function()
    local run, other = run_of "dpmpp_2m", run_of("dpmpp_2m", { seed = 5 })
    run()
    local file = forge.file ""
    assert(run:save(file))
    d.scope(function() assert(other:load(file)) end)
    assert.is_true(run:finish():equal(other:finish()))
  end)

  it("knows of every solver what it keeps", function()
    for _, name in ipairs(d.sampler.names()) do
      local upward = name:find "inversion"
      local run = run_of(name, { self_condition = name == "unipc", init = upward and d.zeros(2, 3) or nil,
        process = name:find "^flow" and d.process { schedule = d.schedule.flow { T = 50 }, predict = "flow" } or nil })
      run()
      run()
      run()
      local file = forge.file ""
      assert(run:save(file))
      assert(run:load(file))
    end
  end)
end)

describe("a snapshot that lies", function()
  after_each(clean)

  it("is nil and a sentence, not an error", function()
    local state = d.mlp { hidden = 4, depth = 1 }:state()
    local function file(facts) return forge.file(bytes_of("snapshot", state, facts)) end
    local good = file { updates = 5, sigma_rel = 0.1 }
    assert.is_truthy(d.posthoc_ema({ good }, { sigma_rel = 0.1 }))
    for _, width in ipairs { 1e-200, -1, 0, 1, 0 / 0, "x" } do
      says({ "sigma_rel" }, d.posthoc_ema({ good, file { updates = 5, sigma_rel = width } }, { sigma_rel = 0.1 }))
    end
    for _, updates in ipairs { 0, -1, 1.5, "x" } do
      says({ "updates" }, d.posthoc_ema({ file { updates = updates, sigma_rel = 0.1 } }, { sigma_rel = 0.1 }))
    end
    local alike = file { updates = 5, sigma_rel = 0.1 + 1e-15 }
    local state_or_nil, message = d.posthoc_ema({ good, alike }, { sigma_rel = 0.1 })
    if state_or_nil == nil then assert.is_string(message) end
  end)
end)

describe("a checkpoint that lies", function()
  after_each(clean)

  it("never raises, whatever a field says, and changes nothing where it is refused", function()
    local model = d.mlp { hidden = 4, depth = 1 }
    local ema = d.ema(model)
    local opt = d.adamw(model, { ema = ema })
    local set = d.data.set { x = d.randn(8, 2) }
    local batches = set:batches { size = 4, steps = 10, seed = 1 }
    local file = forge.file ""
    local ck = d.checkpoint { path = file, model = model, opt = opt, ema = ema, batches = batches }
    assert(ck:save { note = 1 })
    local tensors, facts = container.read(file, "checkpoint")
    for _, change in ipairs {
      function(f) f.opt.steps = 1 << 62 end, function(f) f.opt.skipped = 1 << 62 end,
      function(f) f.ema[1] = 1 << 62 end, function(f) f.batches.step = 1 << 62 end,
      function(f) f.random[2] = 1 << 32 end, function(f) f.random[9] = -1 end, function(f) f.random[1] = 0.5 end,
    } do
      local lying = copied(facts)
      change(lying)
      ck.path = at("checkpoint", tensors, lying)
      assert.is_nil((ck:load()))
    end
    each_lie(facts, function(lying, place)
      ck.path = at("checkpoint", tensors, lying) -- another file than the tensors stand on
      local kept = { opt.steps, ema.updates, batches.step }
      local ok = answers(place, function() return ck:load() end)
      if not ok then assert.same(kept, { opt.steps, ema.updates, batches.step }, place) end
      assert(opt.steps <= 1 << 53 and ema.updates <= 1 << 53 and batches.step <= 1 << 53, place)
    end)
  end)
end)
