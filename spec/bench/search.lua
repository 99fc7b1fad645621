--- Searches for the fastest PyTorch settings of a workload. Variants by the words of
-- peer/setting.py are timed in turns, two at a time, and the winner meets the next.
local duel = require "duel"
local versions = require "versions"

local search = {}

local first = {
  train = { "nhwc,malloc", "nchw,malloc", "compile,nhwc,malloc", "compile,nchw,malloc" },
  sample = { "nhwc,malloc", "compile,freeze,nhwc,malloc", "compile,freeze,nchw,malloc" },
  op = { "nhwc,malloc", "nchw,malloc", "compile,nhwc,malloc" },
  pass = { "malloc", "foreach,malloc", "compile,malloc" },
}

-- Options that may be added to the winner of those. autotune, and running without malloc,
-- gained nothing when tried. Without AMX, bf16 inside of oneDNN computes the same as
-- autocast.
local more = { train = { "foreach" }, sample = { "wrapper" } }

--- Is there anything to choose at such a task?
function search.knows(task) return first[task] ~= nil end

local function additions(w, winner)
  local out = {}
  for _, word in ipairs(more[w.task] or {}) do out[#out + 1] = winner .. "," .. word end
  return out
end

-- A worker that has taken two steps, or nil where PyTorch can't do that.
local function begin(start, w, variant)
  w.variant = variant
  local worker = start(w, "peer-" .. variant:gsub(",", "-"))
  local fine, why = pcall(function()
    worker:ask "time 1"
    worker:ask "time 1"
  end)
  if fine then return worker end
  worker:close()
  print(("  %s can't be: %s"):format(variant, why:match "[^\n]*$"))
end

-- The champion or, where it is faster, a challenger; the other one ends.
local function meet(champion, challenger, rounds)
  local results = duel.fight({ champion.worker, challenger.worker }, rounds, 0.25)
  print(("  %-36s %9.2f ms   %-36s %9.2f ms"):format(champion.variant, results[1].seconds * 1e3,
    challenger.variant, results[2].seconds * 1e3))
  local better = results[2].seconds < results[1].seconds
  local loser = better and champion or challenger
  loser.worker:close()
  return better and challenger or champion
end

--- The best variant of a workload.
---@param w table
---@param start function (w, name) -> worker
---@param rounds integer number of rounds of two variants
---@return string variant
function search.best(w, start, rounds)
  local champion
  local function try(variant)
    local worker = begin(start, w, variant)
    local challenger = worker and { worker = worker, variant = variant }
    champion = champion and challenger and meet(champion, challenger, rounds) or champion or challenger
  end
  for _, variant in ipairs(first[w.task]) do try(variant) end
  for _, variant in ipairs(additions(w, champion.variant)) do try(variant) end
  champion.worker:close()
  return champion.variant
end

local function write_table(f, name, t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  f:write("  ", name, " = {\n")
  for _, key in ipairs(keys) do f:write(("    [%q] = %q,\n"):format(key, t[key])) end
  f:write "  },\n"
end

--- Writes spec/bench/peer.lua.
---@param path string
---@param recorded table {default = by task, best = by workload}: variants
function search.write(path, recorded)
  local f <close> = assert(io.open(path, "w"))
  f:write("--- How PyTorch runs each workload best on the machine where `make bench BENCH=search` last\n",
    "-- wrote this file: layout and the like, by the words of peer/setting.py.\nreturn {\n")
  write_table(f, "versions", versions.peer())
  write_table(f, "default", recorded.default)
  write_table(f, "best", recorded.best)
  f:write "}\n"
end

return search
