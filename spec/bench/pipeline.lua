--- The memory of Stable Diffusion 1.5 at 512 x 512, with random weights in half precision: a folder of
-- 2.1 GB is written to a temporary place. Each measure is a process of its own, and so is diffusers'.
-- `ONLY=pipeline make bench` runs it, or by hand, for some of the measures:
--   lua5.4 spec/bench/pipeline.lua run tiled
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;./?.lua;" .. package.path

local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"
local full = require "spec.support.full_folder"
local settings = require "settings"

local MIB = 2 ^ 20

-- ==== measures, each in its process =====================================================

local measures = {}

local function latents(n) return d.randn({ n, 64, 64, 4 }, { seed = 1 }) end
local function context(n) return d.randn({ n, 77, 768 }, { seed = 2 }) end
local function network(root, o) return assert(d.hub.load(root .. "/unet", o)) end

-- Text to image with guidance, and the seconds until its first step.
function measures.run(root)
  local began = core.clock()
  local pipe = assert(d.hub.load(root))
  local run = pipe:steps { prompt = "a picture", steps = 2, guidance = 7.5, seed = 1, width = 512, height = 512 }
  local seconds = core.clock() - began
  for _ in run do end -- luacheck: ignore 542
  pipe:decode(run.x)
  return ("first step after %.1f s"):format(seconds)
end

function measures.unet(root) network(root).unet(latents(2), 500, { context = context(2) }) end

function measures.decode(root) assert(d.hub.load(root .. "/vae")).vae:decode(latents(1)) end

function measures.tiled(root) assert(d.hub.load(root .. "/vae")).vae:decode(latents(1), { tile = true }) end

-- One training step but for the optimiser's.
local function step(net)
  local loss = d.record(function() return net(latents(1), 500, { context = context(1) }):square():mean() end)
  loss:backward()
end

function measures.lora(root)
  local pipe = network(root, { recompute = true })
  pipe:add_lora { rank = 4, seed = 1 }
  step(pipe.unet)
end

-- The network in single precision, as training needs it.
function measures.single(root) network(root, { frozen = false }).unet(latents(1), 500, { context = context(1) }) end

function measures.gradients(root) step(network(root, { frozen = false, recompute = true }).unet) end

-- Peak bytes of this process.
local function peak()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmHWM:%s+(%d+)"
    if kilobytes then return kilobytes * 1024 end
  end
end

local function measure(what, root)
  local note = measures[what](root)
  local m = core.memory()
  print(("%d %d %d %s"):format(peak(), m.peak, m.packs, note or ""))
end

-- ==== the table =========================================================================

local rows = {
  { "run", "run of 2 steps, guidance 7.5", theirs = { "f32", "bf16" } },
  { "unet", "network, two images", theirs = { "f32", "bf16" } },
  { "decode", "decoding", theirs = { "f32", "bf16" } },
  { "tiled", "decoding in tiles", theirs = { "f32", "bf16" } },
  { "lora", "step of LoRA, recomputed", theirs = { "f32", "bf16" } },
  { "single", "network in f32, one image", theirs = {} },
  { "gradients", "all gradients in f32, recomputed", theirs = { "f32" } },
}

local function is_wanted(name)
  for _, one in ipairs(arg) do
    if one == name then return true end
  end
  return #arg == 0
end

-- MiB of diffusers in a type, or "-".
local function theirs(root, what, dtype)
  local python = settings.peers .. "/bin/python"
  if not child.read(python) then return "-" end
  local pipe <close> = assert(io.popen(("%s %s/peer/pipeline.py %s %s %s 2>/dev/null"):format(child.quote(python), here,
    child.quote(root), what, dtype)))
  local bytes = tonumber(pipe:read "a" or "")
  return bytes and ("%.0f"):format(bytes / MIB) or "failed"
end

local function ours(root, what)
  local text, code = child.run(here .. "/pipeline.lua", { arguments = { "measure", what, root } })
  local all, tensors, packs, note = text:match "(%d+) (%d+) (%d+) ([^\n]*)\n$"
  if code ~= 0 or not all then error(text, 0) end
  return all / MIB, tensors / MIB, packs / MIB, note
end

local function report(root, row)
  local all, tensors, packs, note = ours(root, row[1])
  io.write(("%-34s %8.0f %8.0f %8.0f"):format(row[2], all, tensors, packs))
  for _, dtype in ipairs(row.theirs) do io.write((" %8s"):format(theirs(root, row[1], dtype))) end
  print(note ~= "" and "   " .. note or "")
end

local function main()
  local root = full.make()
  local removed <close> = setmetatable({}, { __close = function() child.remove(root) end }) -- luacheck: ignore 211
  print(("%-34s %8s %8s %8s %8s %8s"):format("MiB at most", "process", "tensors", "packs", "f32", "bf16"))
  for _, row in ipairs(rows) do
    if is_wanted(row[1]) then report(root, row) end
  end
end

io.stdout:setvbuf "line"
if arg[1] == "measure" then measure(arg[2], arg[3]) else main() end
