--- The load of the machine. A timing during a compilation is worth little.
local load = {}

--- Seconds that all CPUs together have worked since the machine started.
function load.busy()
  local stat <close> = assert(io.open "/proc/stat")
  local sum, i = 0, 0
  for ticks in stat:read("l"):gmatch "%d+" do
    i = i + 1
    if i ~= 4 and i ~= 5 and i <= 8 then sum = sum + ticks end -- 4 idle, 5 waiting for disks
  end
  return sum / 100
end

--- How many CPUs there are.
function load.cpus()
  local count = 0
  for line in io.lines "/proc/stat" do
    if line:find "^cpu%d" then count = count + 1 end
  end
  return count
end

return load
