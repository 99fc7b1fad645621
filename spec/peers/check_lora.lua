-- Low-rank adapters: those that we save are run by diffusers and peft, and those that they save here.
local d = require "diffusion"

local python = os.getenv "PEERS" .. "/bin/python"
if os.execute(python .. " -c 'import peft' 2>/dev/null") ~= true then
  io.stderr:write("check_lora: ", python, " has no peft; `make peers` installs it\n")
  os.exit(false)
end

local work = os.tmpname()
os.remove(work)
os.execute("mkdir -p " .. work .. "/lora")
local folder, adapters, values = work .. "/model", work .. "/lora", work .. "/values.safetensors"

local function peer(what)
  assert(os.execute(("%s spec/peers/lora.py %s %s %s %s"):format(python, what, folder, adapters, values)))
end

local failed = false

local function compare(what, ours, theirs)
  local gap = ((ours - theirs):abs():max() / theirs:abs():max()):item()
  print(("%-60s %.2g"):format(what, gap))
  failed = failed or not (gap < 2e-4)
end

local x, t = d.randn({ 2, 16, 16, 3 }, { seed = 3 }), { 7, 900 }

-- Lets the peer answer for x and t, in its own time, and for further inputs.
local function answered(what, inputs)
  local given = { x = x, t = d.tensor(t) }
  for name, value in pairs(inputs or {}) do given[name] = value end
  assert(d.save(values, given))
  peer(what)
  return assert(d.load(values)).y:clone()
end

local function stir(m, size)
  for name, p in m:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * size) end
  return m
end

local process = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "eps" }
local own = stir(d.unet { image = { 16, 16, 3 }, channels = 16, mult = { 1, 2 }, attention = { 2 }, blocks = 1,
  groups = 4 }, 0.1)
assert(d.hub.save(folder, { unet = own, process = process }))

local lora = stir(d.nn.lora(own, { alpha = 5, rank = function(path) return path:find "mid" and 2 or 3 end }), 0.1)
assert(lora:save(adapters))
compare("adapters on all layers of d.unet, run by diffusers", own(x, t), answered "run")
lora:remove()

local theirs = answered "make"
local unet = assert(d.hub.load(folder)).unet
local loaded = assert(d.nn.lora(unet, { load = adapters }))
compare("adapters of peft on UNet2DModel", unet(x, t), theirs)
compare("the same, merged into mapped weights", loaded:merge()(x, t), theirs)
loaded:remove()
loaded = assert(d.nn.lora(own, { load = adapters }))
compare("adapters of peft on d.unet", own(x, t), theirs)
assert(loaded:save(adapters))
compare("the same, saved again and run by diffusers", own(x, t), answered "run")

-- ==== a network with a context ================================================================

folder = work .. "/conditional"
local conditional = stir(d.unet2dcondition { in_channels = 3, out_channels = 3, block_out_channels = { 16, 32 },
  layers_per_block = 1, norm_num_groups = 4, attention_head_dim = { 2, 4 }, cross_attention_dim = 12,
  down_block_types = { "CrossAttnDownBlock2D", "DownBlock2D" }, up_block_types = { "UpBlock2D", "CrossAttnUpBlock2D" },
}, 0.1)
local inputs = { context = d.randn({ 2, 5, 12 }, { seed = 4 }) }
assert(d.hub.save(folder, conditional))
local few = stir(d.nn.lora(conditional, { rank = 2, on = { "attn[12]", "conv1" } }), 0.1)
assert(few:save(adapters))
compare("adapters of d.unet2dcondition, run by diffusers", conditional(x, t, inputs), answered("run", inputs))
few:remove()
theirs = answered("make", inputs)
unet = assert(d.hub.load(folder)).unet
loaded = assert(d.nn.lora(unet, { load = adapters }))
compare("adapters of peft on UNet2DConditionModel", unet(x, t, inputs), theirs)
compare("the same, merged into mapped weights", loaded:merge()(x, t, inputs), theirs)

os.execute("rm -r " .. work)
os.exit(not failed)
