--- Versions of the two sides, and the machine.
local core = require "diffusion.core"
local settings = require "settings"
local sides = require "sides"

local versions = {}

local function line_of(f, pattern)
  for line in f:lines() do
    local found = line:match(pattern)
    if found then return found end
  end
  return "unknown"
end

--- The versions of PyTorch and the machine, which are recorded with the best settings.
---@return table {torch, onednn, cpu}
function versions.peer()
  local show = "import torch; print(torch.__version__); print(torch.__config__.show())"
  local ask <close> = io.popen(("%s -c '%s' 2>/dev/null"):format(sides.python, show))
  local torch = line_of(ask, "%S+")
  local onednn = line_of(ask, "MKL%-DNN (%S+)")
  local cpu <close> = assert(io.open "/proc/cpuinfo")
  return { torch = torch, onednn = onednn, cpu = line_of(cpu, "model name%s*:%s*(.*)") }
end

--- Says so; and where the recorded settings are of something else, that.
---@param recorded table versions
function versions.print(recorded)
  print(("ours: kernels %s, %s; threads %s"):format(core.isa(), _VERSION, settings.threads))
  for _, one in ipairs { { "openvino", "OpenVINO", "peers" }, { "sdcpp", "stable-diffusion.cpp", "peer-sdcpp" } } do
    if not sides.has[one[1]] then
      print(("no %s is here (`make %s` gets it): its columns stay blank"):format(one[2], one[3]))
    end
  end
  if not sides.has_peer then
    return print "no PyTorch is here (`make peers` gets it), so there is nothing to compare with"
  end
  local here = versions.peer()
  print(("peer: PyTorch %s, oneDNN %s%s; %s"):format(here.torch, here.onednn,
    settings.isa == "avx2" and " held to AVX2" or "", here.cpu))
  for key, value in pairs(recorded) do
    if here[key] ~= value then
      print(("its best settings were searched with %s %s: `make bench BENCH=search` does it anew"):format(key, value))
    end
  end
end

return versions
