-- A host program with a locale of its own: decimal commas, another order of names, other
-- letters. Files come out byte for byte as in the C locale, and are read as there.
local child = require "spec.support.child"
local locale = require "spec.support.locale"

local folder, made
setup(function()
  folder = child.folder()
  made = locale.make(folder)
  child.write(folder .. "/gnuplot", "#!/bin/sh\ncat > told\n")
  os.execute("chmod +x " .. child.quote(folder .. "/gnuplot"))
end)
teardown(function() child.remove(folder) end)

-- The beginning of every script here; arg[1] is the locale.
local parts = [[
assert(os.setlocale(arg[1]) == arg[1])
if arg[1] == "own" then
  assert(tostring(0.5) == "0,5" and "z" < "a" and ("GPG"):lower() == "hqh" and ("\x84"):find "%c")
end
local d = require "diffusion"
local function pipe()
  d.manual_seed(1)
  local process = d.process { schedule = d.schedule.cosine { T = 20, s = 0.0125 }, predict = "v", clip = 1.5 }
  local model = d.mlp { hidden = 8, depth = 1 }
  local ema = d.ema(model, { decay = { "power", sigma_rel = 0.05 } })
  local opt = d.adamw(model, { lr = 0.0015, ema = ema })
  local set = d.data.set { x = d.randn(16, 2, { seed = 3 }) }
  return process, model, ema, opt, set:batches { size = 4, steps = 6, seed = 2 }
end
local function walk(process, model, eta)
  return d.sampler.steps { model = model, process = process, shape = { 3, 2 }, steps = 4, seed = 1,
                           sampler = { "ddim", eta = eta } }
end
]]

local writing = parts .. [[
local process, model, ema, opt, batches = pipe()
assert(d.trainer { model = model, opt = opt, ema = ema, batches = batches, checkpoint = "run.safetensors",
  log = "log.csv", objective = d.objective { process = process } }:run())
assert(model:save("model.safetensors", { process = process }))
assert(ema:snapshot "snapshot.safetensors")
assert(d.checkpoint { path = "extra.safetensors", model = model, opt = opt }:save {
  [0.5] = { z = 1, b = { a = 1 }, [true] = 2 }, z = 0.1,
  b = { 1.5, -2e-300, 2 ^ 53 + 0.0 }, a = { inf = math.huge, third = 1 / 3, whole = 7 } })
local run = walk(process, model, 0.25)
run()
assert(run:save "walk.safetensors")
assert(d.save("bare.safetensors", { z = d.ones(1), b = d.ones(2), a = d.ones(3), ["\u{c4}"] = d.ones(4) },
  { z = "1", b = "\u{c4}\u{444}", a = "\n\127" }))
assert(d.image.save("p.png", d.zeros(2, 2, 1), { text = { z = 0.5, b = 1.0, a = "\u{c4}" } }))
assert(d.image.animate("p.apng.png", d.zeros(2, 2, 2, 1), { delay = 0.25 }))
assert(d.plot.lines({ { "a", { 0.5, 1e-9, 2.25 }, { 0.125, 0.25, 0.375 } } }, { logy = true }))
os.rename("told", "lines.told")
assert(d.plot.points({ { "a", d.tensor { { 0.5, 0.25 }, { 1.5, 2.25 } } } }))
os.rename("told", "points.told")
assert(d.plot.order { { 10, 0.1, nil, 20 }, { 20, 0.025, 2, 40 } })
os.rename("told", "order.told")
assert(d.plot.trajectories(walk(process, model, 0)))
os.rename("told", "trajectories.told")
local shown <close> = io.open("shown", "w")
local walker, objective = walk(process, model, 0.25), d.objective { process = process }
for _, thing in ipairs { d.tensor { 0.5, 0.25, 1e-9 }, process, process.schedule, opt, ema, model, walker, walker.grid,
                         d.oracle.gaussian { mean = 0.5, std = 0.25 }, d.nn.dropout(0.25),
                         d.ema(model, { decay = 0.25 }), d.sampler.explain "annealed_langevin",
                         d.sampler.explain "dpm_adaptive",
                         objective, process:explain(3), objective:explain(3),
                         select(2, pcall(d.adamw, model, { lr = -0.5 })),
                         select(2, pcall(process.q_sample, process, d.ones(1, 2), 20.5)) } do
  shown:write((tostring(thing):gsub("^/[^:]*:[0-9]+: ", "")), "\n") -- without a script's name
end
]]

local reading = parts .. [[
local process, model, ema, opt, batches = pipe()
local from = arg[2] .. "/"
local loaded, its = assert(d.load_model(from .. "model.safetensors"))
assert(its.clip == 1.5 and its.schedule:beta(3) == process.schedule:beta(3))
opt.lr = 1
local ck = d.checkpoint { path = from .. "extra.safetensors", model = model, opt = opt }
assert(ck:load() == true)
assert(opt.lr == 0.0015)
local e = ck.extra
assert(e.z == 0.1 and e.b[1] == 1.5 and e.b[2] == -2e-300 and e.b[3] == 2 ^ 53 and math.type(e.b[3]) == "float")
assert(e.a.inf == math.huge and e.a.third == 1 / 3 and math.type(e.a.whole) == "integer")
for name, p in model:parameters() do assert(p:equal(loaded:state()[name])) end
assert(d.checkpoint { path = from .. "run.safetensors", model = model, opt = opt, ema = ema, batches = batches }:load())
assert(batches.step == 6 and ema.updates == 6)
assert(model:load(from .. "model.safetensors"))
assert(d.posthoc_ema({ from .. "snapshot.safetensors" }, { sigma_rel = 0.05 }))
local run, straight = walk(its, loaded, 0.25), walk(its, loaded, 0.25)
assert(run:load(from .. "walk.safetensors"))
assert(run:finish():equal(straight:finish()))
local x, metadata = assert(d.load(from .. "bare.safetensors"))
assert(x["\u{c4}"]:numel() == 4 and metadata.b == "\u{c4}\u{444}" and metadata.a == "\n\127")
local text = assert(d.image.info(from .. "p.png")).text
assert(text.z == "0.5" and text.b == "1.0" and text.a == "\u{c4}")
os.execute "mkdir -p set/a && cp p.png set/a/X.PNG"
assert(d.data.folder "set".n == 1)
assert(not pcall(d.image.save, "x.GIF", d.zeros(2, 2, 1)))
local _, message = pcall(d.schedule.from_beta, { 0, 0.1 })
assert(message:find("without level 0", 1, true), message)
local merges <close> = io.open("merges", "w")
merges:write "#version: 0.2\ng p</w>\n"
merges:close()
assert(table.concat(assert(d.tokenizer "merges"):pieces "GP \u{c4}\0", " ") == "gp</w> Ã ¤</w> Ā</w>")
print "read"
]]

-- Runs a script in a folder of its own name, in a locale.
local function run(script, name, which, ...)
  local path = folder .. "/" .. name
  os.execute("mkdir -p " .. child.quote(path))
  child.write(path .. ".lua", script)
  local out, code = child.run(path .. ".lua", { folder = path, arguments = { which, ... },
    env = ("LOCPATH=%s PATH=%s:\"$PATH\" DISPLAY= WAYLAND_DISPLAY="):format(child.quote(folder), child.quote(folder)) })
  assert(code == 0, out)
  return out
end

local FILES = { "run.safetensors", "model.safetensors", "snapshot.safetensors", "extra.safetensors", "walk.safetensors",
                "bare.safetensors", "p.png", "p.apng.png", "log.csv", "lines.told", "points.told", "order.told",
                "trajectories.told", "shown" }

describe("in a locale of the host's", function()
  it("files, and what gnuplot is told, have the bytes that they have in the C locale", function()
    if not made then return pending "no localedef here, so no other locale can be made" end
    local loss = {}
    for _, which in ipairs { "C", "own" } do loss[which] = run(writing, which, which):match "loss %d%p%d+" end
    assert.equal(loss.C, loss.own)
    for _, name in ipairs(FILES) do
      local bytes = assert(child.read(("%s/C/%s"):format(folder, name)), name)
      assert(#bytes > 0, name)
      assert(bytes == child.read(("%s/own/%s"):format(folder, name)), name .. " has other bytes")
    end
    assert.matches("\n6,%d%.%d+,0%.0015,%d%.%d+\n$", child.read(folder .. "/own/log.csv"))
  end)

  it("files are read to the bit", function()
    if not made then return pending "no localedef here, so no other locale can be made" end
    for _, which in ipairs { "C", "own" } do
      assert.equal("read\n", run(reading, "own", "own", folder .. "/" .. which))
    end
  end)
end)
