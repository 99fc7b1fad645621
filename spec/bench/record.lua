--- Keeps the ratios of a run in speeds.lua, under the name of the machine.
local settings = require "settings"

local record = {}

local taken = {} -- workload -> peer -> how many times faster ours is

--- Notes one ratio.
---@param w table the workload
---@param peer string
---@param ratio? number
function record.note(w, peer, ratio)
  if not ratio or w.against or w.way ~= "duel" or w.threads ~= settings.threads then return end
  taken[w.name] = taken[w.name] or {}
  taken[w.name][peer] = math.floor(ratio * 100 + 0.5) / 100
end

-- Measured workloads leave the machine's older columns. A column that is empty goes.
local function forget(all, name)
  for i = #all, 1, -1 do
    local one = all[i]
    if one.name == name then
      for workload in pairs(taken) do one.times[workload] = nil end
      if not next(one.times) then table.remove(all, i) end
    end
  end
end

-- The machine's column of this date, version and number of threads.
local function column(all, now)
  for _, one in ipairs(all) do
    local same = one.times ~= nil
    for key, value in pairs(now) do same = same and one[key] == value end
    if same then return one end
  end
  now.times = {}
  all[#all + 1] = now
  return now
end

local function sorted(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function times_line(name, peers)
  local text = {}
  for _, peer in ipairs(sorted(peers)) do text[#text + 1] = ("%s = %s"):format(peer, peers[peer]) end
  return ("      [%q] = { %s },\n"):format(name, table.concat(text, ", "))
end

local function write(f, one)
  f:write "  {\n"
  for _, key in ipairs { "name", "date", "version", "threads" } do
    f:write(("    %s = %q,\n"):format(key, one[key]))
  end
  f:write "    times = {\n"
  for _, name in ipairs(sorted(one.times)) do f:write(times_line(name, one.times[name])) end
  f:write "    },\n  },\n"
end

local head = [[
--- Ratios that `make bench RECORD=NAME` has measured, a table per machine: each says how many times faster than a peer
--- this library is. Other machines keep their date and version.
]]

--- Writes what was noted into the file.
---@param path string
---@param all table[] the columns of the file
---@param now table {name of the machine, date, version}
function record.write(path, all, now)
  if not next(taken) then return end
  now.threads = settings.threads
  forget(all, now.name)
  local one = column(all, now)
  for workload, peers in pairs(taken) do one.times[workload] = peers end
  local f <close> = assert(io.open(path, "w"))
  f:write(head, "return {\n")
  for _, each in ipairs(all) do write(f, each) end
  f:write "}\n"
end

return record
