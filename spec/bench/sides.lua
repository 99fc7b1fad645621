--- The worker of each side for a workload, with the environment that it needs.
local settings = require "settings"
local side = require "side"

local here = arg[0]:match "^(.*)/" or "."
local sides = { python = settings.peers .. "/bin/python" }

local function exists(path)
  local f = io.open(path)
  return f and f:close() or false
end

sides.has_peer = exists(sides.python)
os.execute("mkdir -p '" .. settings.folder .. "'")

--- Ours, of w.threads threads.
function sides.ours(w, name)
  local environ = { DIFFUSION_THREADS = w.threads }
  if settings.isa == "avx2" then environ.OPENBLAS_CORETYPE = "Haswell" end
  return side.start(name or "ours", settings.lua .. " " .. here .. "/ours.lua", environ, w, settings.folder)
end

-- By default glibc returns large blocks to the system at every free. Allocating them
-- again costs a page fault for every 4 KiB: a third of a small network's step.
local malloc = { MALLOC_TRIM_THRESHOLD_ = "4000000000", MALLOC_MMAP_THRESHOLD_ = "4000000000",
                 MALLOC_TOP_PAD_ = "67108864" }

--- PyTorch, as w.variant says. OMP_WAIT_POLICY stays unset: libgomp's threads then spin for
-- a millisecond or so and sleep; "passive" would cost it time at each parallel region.
function sides.peer(w, name)
  local environ = { OMP_NUM_THREADS = w.threads, TORCHINDUCTOR_CACHE_DIR = settings.folder .. "/inductor" }
  if settings.isa == "avx2" then environ.ATEN_CPU_CAPABILITY, environ.ONEDNN_MAX_CPU_ISA = "avx2", "AVX2" end
  if w.variant:find "malloc" then for key, value in pairs(malloc) do environ[key] = value end end
  return side.start(name or "peer", sides.python .. " " .. here .. "/peer/worker.py", environ, w, settings.folder)
end

--- Whom ours meets: PyTorch, or ourselves with the fields of w.against changed; nil where
-- there is no PyTorch.
function sides.opponent(w)
  if not w.against then return sides.has_peer and sides.peer(w) or nil end
  local other = {}
  for key, value in pairs(w) do other[key] = value end
  for key, value in pairs(w.against) do other[key] = value end
  return sides.ours(other, "other")
end

return sides
