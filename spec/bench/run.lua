--- make bench: every workload by us and by PyTorch in turns, and who was faster. Settings
-- come from the environment; README.md says which.
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local duel = require "duel"
local side = require "side"
local workloads = require "workloads"
local recorded = require "peer"

local function set(name, default)
  local value = os.getenv(name)
  return value and value ~= "" and value or default
end

local only, mode = set("ONLY"), set("BENCH", "full")
local threads, isa = set("DIFFUSION_THREADS", "2"), set("DIFFUSION_ISA")
local rounds = math.tointeger(set("ROUNDS", 7))
local folder = set("DIFFUSION_BUILD", "build") .. "/bench"
local python = set("PEERS", "build/peers") .. "/bin/python"
os.execute("mkdir -p '" .. folder .. "'")

local function exists(path)
  local f = io.open(path)
  return f and f:close()
end

local has_peer = exists(python)
if not has_peer then print "PyTorch isn't here (`make peers` gets it), so there is nothing to compare with" end

-- ---- the two sides -----------------------------------------------------------------------

local function start_ours(w)
  local environ = { DIFFUSION_THREADS = w.threads }
  if isa == "avx2" then environ.OPENBLAS_CORETYPE = "Haswell" end
  return side.start("ours", set("LUA", "lua5.4") .. " " .. here .. "/ours.lua", environ, w, folder)
end

local malloc = { MALLOC_TRIM_THRESHOLD_ = "4000000000", MALLOC_MMAP_THRESHOLD_ = "4000000000",
                 MALLOC_TOP_PAD_ = "67108864" }

-- OMP_WAIT_POLICY stays unset: libgomp's threads then spin for a millisecond or so and sleep.
local function start_peer(w)
  local environ = { OMP_NUM_THREADS = w.threads, TORCHINDUCTOR_CACHE_DIR = folder .. "/inductor" }
  if isa == "avx2" then environ.ATEN_CPU_CAPABILITY, environ.ONEDNN_MAX_CPU_ISA = "avx2", "AVX2" end
  if w.variant:find "malloc" then for name, value in pairs(malloc) do environ[name] = value end end
  return side.start("peer", python .. " " .. here .. "/peer/worker.py", environ, w, folder)
end

local function best_variant(w)
  local key = w.threads == "2" and w.name or w.name .. "@" .. w.threads
  return recorded.best[key] or recorded.best[w.name] or "nhwc,malloc"
end

-- ---- agreement ---------------------------------------------------------------------------

-- How far outputs and gradients may be from the peer's float32, relative to a tensor's
-- largest: products err by 2e-6, 1e-5 and 1e-2, and a network is some tens of them deep.
local tolerance = { highest = { 2e-4, 1e-3 }, high = { 2e-4, 2e-3 }, medium = { 5e-2, 2e-1 } }

local failed = false

local function complain(...)
  print("  DISAGREE: " .. string.format(...))
  failed = true
end

local function check_facts(ours, peer)
  print(("  %.2f M parameters, %.2f GFLOP a forward"):format(ours.parameters / 1e6, ours.flops / 1e9))
  if ours.parameters ~= peer.parameters then
    complain("%s parameters here, %s there", ours.parameters, peer.parameters)
  end
  if math.abs(ours.flops / peer.flops - 1) > 0.01 then
    complain("%.4g FLOP here, %.4g there", ours.flops, peer.flops)
  end
end

local function check_answers(w, answer)
  local outputs, gradients = tonumber(answer.outputs), tonumber(answer.gradients)
  local may = tolerance[w.precision]
  print(("  outputs differ by %.1e, gradients by %.1e"):format(outputs, gradients)
    .. (answer.own_outputs and ("; PyTorch's own by %.1e and %.1e"):format(answer.own_outputs,
      answer.own_gradients) or ""))
  if not (outputs <= may[1] and gradients <= may[2]) then
    complain("more than %.0e and %.0e", may[1], may[2])
  end
end

local function check(w, ours, peer)
  local path = folder .. "/answers.safetensors"
  ours:send "facts"
  peer:send "facts"
  check_facts(ours:answer(), peer:answer())
  ours:ask("export " .. path)
  check_answers(w, peer:ask("compare " .. path))
  os.remove(path)
end

-- ---- a workload --------------------------------------------------------------------------

local function report(w, results, foreign)
  local ours, peer = results[1], results[2]
  print(("  ours %.3f to %.3f"):format(ours.low * 1e3, ours.high * 1e3)
    .. (peer and (", peer %.3f to %.3f (%s)"):format(peer.low * 1e3, peer.high * 1e3, w.variant) or "")
    .. (", %d rounds, others took %.0f %% of the machine"):format(rounds, 100 * foreign))
  print(("bench %s %.3f %s %s"):format(w.name, ours.seconds * 1e3,
    peer and ("%.3f"):format(peer.seconds * 1e3) or "-",
    peer and ("%.2f"):format(peer.seconds / ours.seconds) or "-"))
end

local function measure(w)
  w.threads = w.threads or threads
  w.variant = set("VARIANT", best_variant(w))
  local sides = { start_ours(w), has_peer and start_peer(w) or nil }
  if has_peer then check(w, sides[1], sides[2]) end
  report(w, duel.fight(sides, rounds, 0.25))
  for _, one in ipairs(sides) do one:close() end
end

local function wanted(w)
  if w.asks and not (only and only:find(w.asks, 1, true)) then return false end
  if only and not w.name:find(only) then return false end
  return mode ~= "quick" or w.quick or false
end

for _, w in ipairs(workloads) do
  if wanted(w) then measure(w) end
end
os.exit(not failed, true)
