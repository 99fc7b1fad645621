-- Scripts of `make check-peers` share this: they record cases by a peer's script, choose at random,
-- measure times, and count failures.
local d = require "diffusion"
local json = require "diffusion.file.json"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local peers = require "diffusion.nn.peers"

local M = { limit = 2e-4, failed = 0 }

--- Records of a list of cases, made by spec/peers/SCRIPT.py.
---@param script string
---@param list table[]
---@return table[]
function M.recorded(script, list)
  local from, to = os.tmpname(), os.tmpname()
  local file <close> = assert(io.open(from, "w"))
  assert(file:write(json.encode(list)))
  file:close()
  local python = assert(os.getenv "PEERS", "PEERS: the folder of the peers, as `make peers` makes it") .. "/bin/python"
  assert(os.execute(("%s spec/peers/%s.py %s %s >/dev/null"):format(python, script, from, to)))
  local out = cases.read(to)
  os.remove(from)
  os.remove(to)
  return out
end

--- Choices from a seed, SEED or 1: choose(list) -> one of them.
function M.chooser()
  local seed = math.tointeger(tonumber(os.getenv "SEED" or "1"))
  local g = d.generator { seed = seed }
  return function(list) return list[g:randint(1, #list, { 1 })[1]] end, seed
end

--- Prints a line of differences, and counts it if one is above the limit.
---@param name string
---@param off table<string, number>
---@param more string?
function M.line(name, off, more)
  local words, worst = {}, 0
  for what, ratio in pairs(off) do
    words[#words + 1] = ("%s %.1e"):format(what, ratio)
    if not (ratio <= worst) then worst = ratio end
  end
  table.sort(words)
  local fine = worst <= M.limit
  if not fine then M.failed = M.failed + 1 end
  print(("%s %s: %s%s"):format(fine and "ok  " or "FAIL", name, table.concat(words, ", "), more and "; " .. more or ""))
end

--- The least milliseconds of n calls.
function M.fastest(fn, n)
  local best = math.huge
  d.scope(fn)
  for _ = 1, n or 3 do
    local start = core.clock()
    d.scope(fn)
    best = math.min(best, core.clock() - start)
  end
  return 1e3 * best
end

--- The model of a case that was recorded with `full`: its weights are windows on that file.
---@param case table
---@param name string that of the family
---@return any model
function M.full(case, name)
  local known = family.find(name)
  local options = peers.options(known, known.peers.diffusers, case.config)
  local model = assert(peers.model(known, options, assert(d.load(case.full)), { frozen = true }))
  return model
end

--- Our times, the peer's and their ratio, as text: "forward 12.0 ms, theirs 15.0 (0.80)".
---@param case table
---@param passes table<string, function> by the names of case.ms
---@return string
function M.times(case, passes)
  local words = {}
  for name, fn in pairs(passes) do
    for word, precision in pairs { [""] = "high", _bf16 = "medium" } do
      d.precision(precision)
      local ours, theirs = M.fastest(fn), case.ms[name .. word]
      words[#words + 1] = ("%s %.1f ms, theirs %.1f (%.2f)"):format(name .. word, ours, theirs, ours / theirs)
    end
  end
  d.precision "high"
  table.sort(words)
  return table.concat(words, ", ")
end

--- Saves networks, opens them with diffusers, and prints a line for each: no key is missing or
--- unexpected, and the output is the same.
---@param list table[] {name =, model =, io = the inputs and the output y, as the peer takes them}
function M.reopened(list)
  local root, folders = os.tmpname(), {}
  os.remove(root)
  for i, one in ipairs(list) do
    folders[i] = ("%s/%d"):format(root, i)
    assert(os.execute("mkdir -p " .. folders[i]))
    assert(d.hub.save(folders[i], one.model))
    assert(d.save(folders[i] .. "/io.safetensors", one.io))
  end
  local pipe <close> = assert(io.popen(("%s/bin/python spec/peers/reopened.py %s"):format(os.getenv "PEERS",
    table.concat(folders, " "))))
  for _, one in ipairs(list) do
    local found = assert(json.decode(assert(pipe:read "l", "diffusers can't open " .. one.name)))
    local wrong = next(found.wrong) and json.encode(found.wrong) or nil
    M.line(one.name .. " saved", { y = wrong and math.huge or found.gap }, wrong)
  end
  assert(os.execute("rm -r " .. root))
end

--- Ends the script: with an error if a line failed.
function M.finish(what)
  print(("%s: %s"):format(what, M.failed == 0 and "all agree" or M.failed .. " failed"))
  os.exit(M.failed == 0)
end

return M
