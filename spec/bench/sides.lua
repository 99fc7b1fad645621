--- The worker of each side for a workload, with the environment that it needs.
local settings = require "settings"
local side = require "side"
local words = require "words"

local here = arg[0]:match "^(.*)/" or "."
local sides = { python = settings.peers .. "/bin/python" }

local function exists(path)
  local f = io.open(path)
  return f and f:close() or false
end

local function is_found(pattern)
  return os.execute(("ls %s/%s >/dev/null 2>&1"):format(settings.peers, pattern)) == true
end

-- It is built for each instruction set that can be forced.
local sdcpp = ("%s/sdcpp/%s/sdcpp"):format(settings.peers, settings.isa == "avx2" and "avx2" or "native")

sides.has_peer = exists(sides.python)
--- The peers that are here, by name.
sides.has = { pytorch = sides.has_peer, openvino = is_found "lib/python3*/site-packages/openvino/__init__.py",
              sdcpp = exists(sdcpp) }
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

-- A copy of w with fields changed.
local function changed(w, fields)
  local out = {}
  for key, value in pairs(w) do out[key] = value end
  for key, value in pairs(fields) do out[key] = value end
  return out
end

-- Holds PyTorch's own kernels, oneDNN and MKL to AVX2. MKL runs the products of attention and of matmul.
local avx2 = { ATEN_CPU_CAPABILITY = "avx2", ONEDNN_MAX_CPU_ISA = "AVX2", MKL_ENABLE_INSTRUCTIONS = "AVX2" }

-- A worker in Python. OMP_WAIT_POLICY stays unset: libgomp's threads then spin for a millisecond or so and sleep;
-- "passive" would cost it time at each parallel region.
local function python(w, name)
  local environ = { OMP_NUM_THREADS = w.threads, TORCHINDUCTOR_CACHE_DIR = settings.folder .. "/inductor" }
  if settings.isa == "avx2" then for key, value in pairs(avx2) do environ[key] = value end end
  if w.variant:find "malloc" then for key, value in pairs(malloc) do environ[key] = value end end
  return side.start(name, sides.python .. " " .. here .. "/peer/worker.py", environ, w, settings.folder)
end

--- PyTorch, as w.variant says.
function sides.peer(w, name) return python(w, name or "peer") end

local starters = { pytorch = sides.peer }

function starters.openvino(w) return python(changed(w, { by = "openvino" }), "openvino") end

-- Its flash attention is slower on a processor, and rounds to f16.
function starters.sdcpp(w)
  return side.start("sdcpp", sdcpp, { OMP_NUM_THREADS = w.threads }, changed(w, { variant = "plain" }), settings.folder)
end

local function opponent(w, name)
  local setting = name == "pytorch" and w.variant or w.precision == "medium" and "16 bits" or "float32"
  return { name = name, setting = setting, start = function() return starters[name](w) end }
end

--- Whom ours meets: PyTorch and those of w.beside, if they are here, or ourselves with the fields of w.against
--- changed.
---@return table[] opponents {name, setting, start = function that returns a worker}
function sides.opponents(w)
  if w.against then
    local function start() return sides.ours(changed(w, w.against), "other") end
    return { { name = "other", setting = words.format(w.against), start = start } }
  end
  local list = {}
  for _, name in ipairs { "pytorch", table.unpack(w.beside or {}) } do
    if sides.has[name] then list[#list + 1] = opponent(w, name) end
  end
  return list
end

return sides
