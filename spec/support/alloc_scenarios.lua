-- The scenarios that run while memory is short (alloc_check.lua). Each scenario makes its
-- objects (`new`). It does one thing with them that can be repeated after a failure
-- (`run`). It returns the result as text (`told`).
local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
local nn = d.nn

local list = {}

local function add(name, scenario)
  scenario.name = name
  list[#list + 1] = scenario
end

local function bits(x) return x:contiguous():bytes() end

-- Tensors, numbers and tables of them as text.
local function text_of(value)
  if core.is_tensor(value) then return bits(value) end
  if type(value) ~= "table" then return tostring(value) end
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do parts[i] = tostring(key) .. "=" .. text_of(value[key]) end
  return table.concat(parts, ";")
end

-- ---- training ----------------------------------------------------------------------

local process = d.process { schedule = d.schedule.cosine { T = 20 }, predict = "v" }
local objective = d.objective { process = process }

local networks = {
  mlp = function() return d.mlp { hidden = 4, depth = 1, classes = 2 }, d.randn(3, 2) end,
  unet = function(recompute)
    return d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1, 2 }, blocks = 1, attention = { 2 }, dropout = 0.2,
      recompute = recompute }, d.randn(2, 4, 4, 1)
  end,
  dit = function(recompute)
    return d.dit { image = { 4, 4, 1 }, width = 8, heads = 2, depth = 1, dropout = 0.2, recompute = recompute },
      d.randn(2, 4, 4, 1)
  end,
  composed = function()
    local inner = nn.recompute(nn.sequence(nn.linear(2, 3), nn.dropout(0.3), nn.silu))
    local root = nn.module("own", function(m)
      m.inner, m.last = inner, nn.linear(3, 2)
      function m:forward(x) return self.last(self.inner(x)) end
    end)
    return nn.model(root()), d.randn(3, 2)
  end,
  list = function()
    local inputs = { { "x", shape = { "B", 2 } }, "t", { "context", shape = { "B", "M", 3 }, optional = true } }
    return d.network { inputs = inputs, build = function(net)
      local e = net:time_embed("time", net.t, { inp = 4, out = 4 })
      local h = net:block("parts.1", { net:linear("inp", net.x, { out = 4 }), e }, { recompute = true },
        function(b, x, y) return b:silu(b:linear("one", b:add { x, y }, { out = 4 })) end)
      h = net:attention("attend", { net:per_token(net:again("parts.1", { h, e })), net.context }, { context = 3 })
      net:order { "inp", "time" }
      return net:linear("out", net:cat { h, h }, { out = 2 })
    end }, d.randn(3, 2)
  end,
  adopting = function()
    local root = nn.sequence(nn.linear(2, 4), nn.silu, nn.linear(4, 2))
    local half = d.randn(2, 4):to "f16"
    return nn.model(root, { adopt = { ["1.weight"] = half:t(), ["3.bias"] = d.ones(2) } }), d.randn(3, 2)
  end,
}

local function network(kind, recompute)
  d.manual_seed(3)
  local model, x = networks[kind](recompute)
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
  return model, x
end

local function told_values(model)
  local values = {}
  for name, p in model:parameters() do values[name] = bits(p) end
  return text_of(values)
end

local function told_of(state)
  local ema = state.ema and text_of(state.ema:state()) or ""
  local opt = state.opt:state()
  return told_values(state.model) .. ema .. text_of(opt.first) .. text_of(opt.second) .. opt.steps
end

local function training(kind, recompute, loss)
  return {
    new = function()
      local state = {}
      state.model, state.x = network(kind, recompute)
      state.ema = d.ema(state.model, { decay = 0.9 })
      state.opt = d.adamw(state.model, { lr = 1e-2, clip = 0.5, ema = state.ema })
      return state
    end,
    run = function(state)
      d.manual_seed(5) -- complete gradients count twice, and their mean is the same
      d.record(loss or objective, state.model, state.x):backward()
      state.opt:step()
    end,
    told = told_of,
  }
end

for _, kind in ipairs { "mlp", "unet", "dit" } do
  add("train " .. kind, training(kind))
  if kind ~= "mlp" then add("train " .. kind .. ", recomputing", training(kind, true)) end
end
add("train what isn't adopted", training("adopting", nil, function(model, x) return model(x):square():mean() end))
add("train modules with a part recomputed", training("composed", nil, function(model, x)
  return model(x):square():mean()
end))

local guest = nn.guest(function(x) return x * 3, { x } end, function(dy, kept) return dy * (kept[1] * 0 + 3) end)
local outer = nn.guest(function(x) return guest(x) end, function(dy, _, x)
  local g = d.grad(function(z) return (guest(z) * dy):sum() end, x)
  return g
end)

add("d.grad through guests", {
  new = function() return { x = d.arange(1, 6):reshape(2, 3), y = d.ones(2, 3) } end,
  run = function(state)
    state.out = { d.grad(function(x, y) return (outer(x):silu() * y + guest(y)):sum() end, state.x, state.y) }
  end,
  told = function(state) return text_of(state.out) end,
})

add("micro-batches, one of them by a guest", {
  new = function()
    local model, x = network "mlp"
    return { model = model, x = x, opt = d.adamw(model, { lr = 1e-2 }) }
  end,
  run = function(state)
    state.opt:zero()
    for k = 1, 2 do
      d.record(function() return guest(state.model(state.x, k)):square():mean() end):backward()
    end
    state.opt:step()
  end,
  told = told_of,
})

add("a trainer", {
  new = function()
    local model, x = network "mlp"
    local start = {}
    for name, p in model:parameters() do start[name] = p:clone() end
    return { model = model, start = start, set = d.data.set { x = x } }
  end,
  run = function(state) -- from the start again: it may have failed after its step
    d.manual_seed(5)
    state.model:load_state(state.start)
    state.opt = d.adamw(state.model, { lr = 1e-2 })
    state.trainer = d.trainer { model = state.model, opt = state.opt, objective = objective, quiet = true,
      batches = state.set:batches { size = 2, steps = 1, seed = 3 } }
    assert(state.trainer:run())
  end,
  told = told_of,
})

-- ---- constructors ------------------------------------------------------------------

for kind in pairs(networks) do
  add("make " .. kind, {
    new = function() return {} end,
    run = function(state)
      local model = network(kind)
      state.model, state.opt, state.ema = model, d.adamw(model), d.ema(model)
    end,
    told = function(state)
      return text_of(state.ema:state()) .. told_values(state.model)
    end,
  })
end

add("unfreeze what is adopted", {
  new = function()
    local model, x = network "adopting"
    return { model = model, x = x, ema = d.ema(model) }
  end,
  run = function(state)
    state.model:unfreeze()
    state.ema:update()
    state.y = state.ema(state.x)
  end,
  told = function(state) return bits(state.y) .. told_values(state.model) .. text_of(state.ema:state()) end,
})

add("train adapters, merge them and take them out", {
  new = function()
    local model, x = network "unet"
    return { model = model, x = x }
  end,
  run = function(state)
    d.manual_seed(5)
    if state.lora then -- it failed after that
      if state.lora.merged then state.lora:unmerge() end
      state.lora:remove()
    end
    state.lora = d.nn.lora(state.model, { rank = 2, seed = 1, on = { "attention", "^mid" } })
    d.record(function() return state.lora(state.x, 5):square():mean() end):backward()
    d.adamw(state.lora, { lr = 1e-2 }):step()
    state.y = state.lora(state.x, 5)
    state.merged = state.lora:merge()(state.x, 5)
    state.lora:unmerge():remove()
    state.lora = nil
  end,
  told = function(state)
    return bits(state.y) .. bits(state.merged) .. told_values(state.model) .. bits(state.model(state.x, 5))
  end,
})

add("linear algebra", {
  new = function() return { a = d.tensor { { 4, 1 }, { 1, 3 } } } end,
  run = function(state)
    local a = state.a
    state.out = { d.linalg.cholesky(a), d.linalg.solve(a, { 1, 2 }), d.linalg.eigh(a) }
  end,
  told = function(state) return text_of(state.out) end,
})

-- ---- sampling ----------------------------------------------------------------------------------

local function sampling(options, kind)
  return {
    new = function()
      local model, x = network(kind or "mlp")
      local o = { model = model, process = process, shape = x:shape(), steps = 4, seed = 1 }
      for k, v in pairs(options) do o[k] = v end
      return { options = o }
    end,
    run = function(state) state.x = d.sample(state.options) end,
    told = function(state) return bits(state.x) end,
  }
end

for _, name in ipairs { "ddpm", "ddim", "euler", "heun", "dpmpp_2m", "dpmpp_sde", "dpmpp_2m_sde", "unipc", "deis",
  "plms", "lms", "sa_solver" } do
  add("sample by " .. name, sampling { sampler = name })
end
add("sample by rk45", sampling { sampler = { "rk45", rtol = 0.5, atol = 0.5 } })
add("sample from a unet", sampling({ sampler = "ddim" }, "unet"))
add("sample by an average", {
  new = function()
    local model, x = network "mlp"
    local ema = d.ema(model)
    for _, p in model:parameters() do p:mul_(0.5) end
    return { ema = ema, model = model, shape = x:shape() }
  end,
  run = function(state)
    state.x = d.sample { model = state.ema, process = process, shape = state.shape, steps = 3, seed = 1 }
  end,
  told = function(state) return bits(state.x) .. told_values(state.model) end,
})
add("sample with classes and guidance", sampling { sampler = "ddim", class = { 1, 2, 1 }, guidance = 2 })
add("sample with the gradient of a guide", sampling { sampler = "ddim",
  on_step = function(step)
    d.grad(function(x) return (x * x):sum() end, step.xt)
  end })

-- ---- reading and writing ---------------------------------------------------------------------

local folder, hub_folder

local function path(name) return folder .. "/" .. name end

local function write(name, bytes)
  local f <close> = assert(io.open(path(name), "wb"))
  assert(f:write(bytes))
end

-- Writes valid files for the readers, and existing files for the writers.
local function furnish()
  folder = forge.folder()
  local floats = ("<ffff"):pack(1, 2, 3, 4)
  write("a.npy", forge.npy("<f4", "(2, 2)", floats))
  write("a.npz", forge.zip { { "a.npy", forge.npy("<f4", "(4,)", floats) },
    { "b.npy", forge.npy("|i1", "(3,)", "xyz"), true } })
  write("plain.idx", forge.idx({ 2, 3, 2 }, "abcdefghijkl"))
  write("packed.idx.gz", forge.gzip(forge.idx({ 2, 3, 2 }, "abcdefghijkl")))
  write("merges.txt.gz", forge.gzip "#version: 0.2\na b</w>\n")
  write("a.png", forge.png(2, 8, 2, { "abcdef", "ghijkl" }, forge.chunk("tEXt", "a\0b")))
  write("a.jpg", forge.bytes_of "spec/fixtures/ramp.jpg")
  write("a.safetensors", forge.safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    .. '"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"__metadata__":{"x":"\\u00e9"}}',
    floats:sub(1, 8) .. "xyz"))
  assert(os.execute(("mkdir -p '%s/set/one' '%s/set/two'"):format(folder, folder)))
  for _, name in ipairs { "set/one/1.png", "set/two/2.png" } do write(name, forge.bytes_of(path "a.png")) end
  local model = network "mlp"
  assert(model:save(path "model.safetensors", { process = process }))
end

local function loading(read)
  return {
    new = function()
      if not folder then furnish() end
      return {}
    end,
    run = function(state)
      local value, message = read()
      if value == nil then error("a file's fault: " .. message:gsub("memory", "room"), 0) end
      state.out = { value }
    end,
    told = function(state) return text_of(state.out) end,
  }
end

local function as_idx(name)
  return function()
    local set, why = d.data.idx(path(name))
    return set and { set.x }, why
  end
end

add("read npy", loading(function() return d.data.arrays(path "a.npy") end))
add("read npz", loading(function() return d.data.arrays(path "a.npz") end))
add("read idx", loading(as_idx "plain.idx"))
add("read idx.gz", loading(as_idx "packed.idx.gz"))
add("read a tokenizer", loading(function()
  local tok, why = d.tokenizer(path "merges.txt.gz")
  return tok and { tok("a ab", { length = 5 }), tok:decode { 0, 512 } }, why
end))
add("read png", loading(function() return d.image.load(path "a.png") end))
add("read jpeg", loading(function() return d.image.load(path "a.jpg") end))
add("read a picture's facts", loading(function() return d.image.info(path "a.jpg") end))
add("read a folder", loading(function()
  local set, why = d.data.folder(path "set")
  return set and { set.x, set.class }, why
end))
add("read safetensors", loading(function()
  local found, facts = d.load(path "a.safetensors")
  return found and { found, facts }, facts
end))
add("read a model", loading(function()
  local model, kept = d.load_model(path "model.safetensors")
  return model and { tostring(kept), text_of(model:state()) }, kept
end))

add("read a model that is frozen, and run it", loading(function()
  local model, kept = d.load_model(path "model.safetensors", { frozen = true })
  return model and { tostring(kept), model(d.ones(1, 2), 5) }, kept
end))

add("open a folder of diffusers, and draw", loading(function()
  if not hub_folder then
    hub_folder = require "spec.support.hub_folder"
    hub_folder.write(path "hub", hub_folder.pipeline())
  end
  local pipe, why = d.hub.load(path "hub")
  return pipe and { tostring(pipe), pipe { steps = 2, seed = 1, n = 2 } }, why
end))

-- A file must be complete at any time, with its old contents or the new ones.
local function writing(name, new, save)
  return {
    spares = "system", -- a killed process leaves a file next to it until the next save
    new = function()
      if not folder then furnish() end
      local state = new()
      save(state)
      state.whole = forge.bytes_of(path(name))
      return state
    end,
    run = save,
    failed = function(state)
      assert(forge.bytes_of(path(name)) == state.whole, name .. " isn't whole")
      for _, file in ipairs(core.list(folder)) do assert(not file:find "%.%d+%-%d+$", file .. " is left") end
    end,
    told = function() return forge.bytes_of(path(name)) end,
  }
end

local function folder_text(dir)
  local parts = {}
  for _, name in ipairs { "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors" } do
    parts[#parts + 1] = forge.bytes_of(dir .. "/" .. name)
  end
  return table.concat(parts)
end

-- A folder opens, or has no index.
add("write a folder of diffusers", {
  spares = "system",
  new = function()
    if not folder then furnish() end
    local net = d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1, 2 }, blocks = 1, groups = 2, classes = 2 }
    return { unet = net, process = process }
  end,
  run = function(state) assert(d.hub.save(path "saved", { unet = state.unet, process = state.process })) end,
  failed = function()
    local pipe, message = d.hub.load(path "saved")
    assert(pipe or message:find "no model_index.json" or message:find "no such file", message)
  end,
  told = function() return folder_text(path "saved") end,
})

local function tensors() return { x = d.arange(1, 6):reshape(2, 3), y = d.zeros(2, { dtype = "i64" }) } end

add("write safetensors", writing("out.safetensors", tensors, function(state)
  assert(d.save(path "out.safetensors", { x = state.x, y = state.y }, { who = "me" }))
end))
add("write a picture", writing("out.png", tensors, function(state)
  assert(d.image.save(path "out.png", (state.x / 6):reshape(2, 3, 1)))
end))
add("write moving pictures", writing("moving.png", tensors, function(state)
  local x = (state.x / 6):reshape(2, 3, 1)
  assert(d.image.animate(path "moving.png", { x, x * 0.5 }))
end))

local function run_state()
  local model, x = network "mlp"
  local state = { model = model, x = x, set = d.data.set { x = x } }
  state.ema = d.ema(model, { decay = 0.9 })
  state.opt = d.adamw(model, { lr = 1e-2, ema = state.ema })
  state.batches = state.set:batches { size = 2, steps = 4, seed = 3 }
  d.manual_seed(5)
  d.record(objective, model, x):backward()
  state.opt:step()
  state.keep = d.checkpoint { path = path "run.safetensors", model = model, opt = state.opt, ema = state.ema,
    batches = state.batches }
  return state
end

add("write a checkpoint", writing("run.safetensors", run_state, function(state)
  assert(state.keep:save { note = "ok", list = { 1, 2.5 } })
end))

add("read a checkpoint", {
  new = function()
    if not folder then furnish() end
    local state = run_state()
    assert(state.keep:save { note = "ok" })
    for _, p in state.model:parameters() do p:fill_(0) end
    state.opt.lr = 1
    return state
  end,
  run = function(state) assert(state.keep:load()) end,
  told = function(state) return told_of(state) .. text_of(state.keep.extra) .. state.opt.lr end,
})

local function sampler_of(state)
  return d.sampler.steps { model = state.model, process = process, shape = { 3, 2 }, sampler = "dpmpp_2m", steps = 4,
    seed = 1 }
end

add("write a run", writing("sampling.safetensors", function()
  local state = { model = network "mlp" }
  state.run = sampler_of(state)
  state.run()
  state.run()
  return state
end, function(state) assert(state.run:save(path "sampling.safetensors")) end))

add("read a run", {
  new = function()
    if not folder then furnish() end
    local state = { model = network "mlp" }
    state.run = sampler_of(state)
    state.run()
    assert(state.run:save(path "sampling.safetensors"))
    state.run = sampler_of(state)
    return state
  end,
  run = function(state) assert(state.run:load(path "sampling.safetensors")) end,
  told = function(state)
    state.run()
    return bits(state.run.x)
  end,
})

return list
