-- Folders that d.hub.save writes, opened by diffusers: no missing or unexpected key, and the same
-- output. The networks are random d.unets, and UNet2DModels and UNet2DConditionModels that diffusers saved,
-- which come back byte by byte. Pipelines of all classes draw the same image there.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local child = require "spec.support.child"
local json = require "diffusion.file.json"
local peer = require "spec.support.peer_folder"

local LIMIT = 2e-4
local python, script = os.getenv "PEERS" .. "/bin/python", "spec/peers/saved.py"
local root = child.folder()
local failed = 0

local function check(fine, format, ...)
  print((fine and "  " or "X ") .. format:format(...))
  if not fine then failed = failed + 1 end
end

local function pick(list) return list[math.random(#list)] end

-- A d.unet that UNet2DModel can express.
local function random_unet()
  local groups = pick { 2, 4 }
  local mult = pick { { 1 }, { 1, 2 }, { 1, 1, 3 }, { 1, 2, 2 } }
  local attention = {}
  for level = 1, #mult do if math.random() < 0.5 then attention[#attention + 1] = 1 << level - 1 end end
  local side = 8 * pick { 1, 2 }
  return { image = { side, pick { side, 8 }, pick { 1, 3 } }, channels = groups * pick { 2, 4 }, mult = mult,
    blocks = pick { 1, 2, 3 }, attention = attention, heads = #mult == 1 and 2 or 1, groups = groups,
    classes = pick { 0, 4 }, outputs = pick { 1, 2 }, dropout = pick { 0, 0.1 } }
end

local function randomised(model)
  for _, p in model:parameters() do p:copy_(d.randn(p:shape()) * 0.2) end
  return model
end

local function process_of(o)
  local schedule = pick { d.schedule.linear(), d.schedule.cosine(), d.schedule.sigmoid { T = 500 },
    d.schedule.linear { T = 200 } }
  return d.process { schedule = schedule, predict = pick { "eps", "x0", "v" }, clip = 1,
    variance = o.outputs == 2 and "learned_range" or pick { "fixed_small", "fixed_large" } }
end

local function planes(x) return x:permute(1, 4, 2, 3):contiguous() end

-- Saves a d.unet, its inputs and outputs, and an image that its pipe draws.
local function ours(name, jobs)
  local o = random_unet()
  local model, process = randomised(d.unet(o)), process_of(o)
  local dir, io = root .. "/" .. name, {}
  assert(d.hub.save(dir, { unet = model, process = process, max_shard_size = pick { "20KB", "5GB" } }))
  local class = o.classes > 0 and d.tensor({ 0, 1, o.classes, 2 }, { dtype = "i64" }) or nil
  local x, t = d.randn(4, table.unpack(o.image)), d.tensor { 1, process.T, process.T // 2, 3 }
  io.x, io.t, io.y = planes(x), t, planes(model(x, t, { class = class }))
  if class then io.class = d.tensor({ o.classes, 0, o.classes - 1, 1 }, { dtype = "i64" }) end
  local job = { name = name, path = dir .. "/unet", class = "UNet2DModel", io = dir .. ".safetensors" }
  if not class then
    job.generator, job.steps = 3, 4
    local pipe = assert(d.hub.load(dir))
    io.image = pipe { steps = 4, generator = d.generator { kind = "torch", seed = 3 } }
  end
  assert(d.save(job.io, io))
  jobs[#jobs + 1] = job
end

-- Loads and saves the pipelines of spec/hub_pipe_spec.lua.
local function pipelines(jobs)
  local images = "spec/fixtures/peers/pipelines"
  local cases, names = assert(json.decode(child.read(images .. ".json"))), {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local case = cases[name]
    peer.pipeline(root .. "/" .. name, case)
    local dir = root .. "/" .. name .. "-saved"
    assert(d.hub.save(dir, assert(d.hub.load(root .. "/" .. name))))
    jobs[#jobs + 1] = { name = name, path = dir, case = case, io = images .. ".safetensors" }
  end
end

local function differing(one, other)
  local list = assert(io.popen(("cd %s && find . -type f"):format(child.quote(one))))
  for name in list:lines() do
    local a, b = child.read(one .. "/" .. name), child.read(other .. "/" .. name)
    if a ~= b then return name end
  end
end

-- A folder of diffusers that is loaded and saved has the same files, to the byte.
local function theirs(name)
  local from, to = root .. "/" .. name .. "/theirs", root .. "/" .. name .. "/ours"
  local pipe = assert(d.hub.load(from))
  assert(d.hub.save(to, pipe.process and pipe or pipe.unet))
  local other = differing(from, to) or differing(to, from)
  check(not other, "%-14s saved again: %s", name, other and "differs in " .. other or "the same bytes")
end

math.randomseed(11)
d.manual_seed(11)
local jobs = {}
for i = 1, 12 do ours(("ours%d"):format(i), jobs) end
pipelines(jobs)
child.write(root .. "/jobs.json", json.encode(jobs))
local out = assert(io.popen(("%s %s open %s"):format(python, script, child.quote(root))))
local count = 0
for line in out:lines() do
  local r = assert(json.decode(line))
  count = count + 1
  local image = r.image and (", image %.1e"):format(r.image) or ""
  check(r.gap < LIMIT and not next(r.wrong) and (r.image or 0) < LIMIT, "%-14s opened: output %.1e of its range%s%s",
    r.name, r.gap, image, next(r.wrong) and " " .. json.encode(r.wrong) or "")
end
out:close()
check(count == #jobs, "%d of %d folders opened", count, #jobs)
assert(os.execute(("%s %s make %s"):format(python, script, child.quote(root))))
for i = 0, 7 do
  theirs(("peer%d"):format(i))
  theirs(("cond%d"):format(i))
end
child.remove(root)
os.exit(failed == 0)
