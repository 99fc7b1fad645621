--- The machine, and the library's use of it.
local core = require "diffusion.core"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local runtime = {}

-- "2.5 MiB", or "12 bytes", as the messages of the core.
local function size_text(bytes)
  if bytes < 1024 then return ("%d bytes"):format(bytes) end
  local size, unit = bytes / 1024, 1
  while size >= 1024 and unit < 4 do size, unit = size / 1024, unit + 1 end
  return legible.format("%.1f %s", size, ({ "KiB", "MiB", "GiB", "TiB" })[unit])
end

local Memory = {}

function Memory.__tostring(m)
  return ("%s in use (%s of them packed weights), %s at most, %s kept for reuse, limit %s"):format(
    size_text(m.live), size_text(m.packs), size_text(m.peak), size_text(m.pooled),
    m.limit > 0 and size_text(m.limit) or "none")
end
legible.speaks(Memory)

--- The bytes of tensors: live, their peak, kept for reuse (pooled), and the limit (0: none). Also
--- the number of blocks, and how often memory was obtained from the system (fresh). `packs` are the
--- live bytes of packed weights, and `pack_budget` is their limit. Adopted parameters on a mapped
--- file are not counted.
---@return table memory {live, peak, pooled, limit, blocks, fresh, packs, pack_budget}
---@usage print(d.memory())
function runtime.memory() return setmetatable(core.memory(), Memory) end

--- The version and the machine in a few lines.
---@return string
function runtime.info()
  local isa, all = core.isa()
  local m = runtime.memory()
  return table.concat({
    ("%s, %s; %s"):format("diffusion 0.1.0", core.real == "f64" and "double (verification build)"
      or "float", _VERSION),
    ("kernels %s (this machine has %s)"):format(isa, table.concat(all, ", ")),
    ("threads %d, precision %s"):format(core.threads(), core.precision()),
    "memory " .. tostring(m),
  }, "\n")
end

--- Prints the time of `fn` by op, forward and backward, longest first. It also prints the memory
--- that each op saves for the backward pass.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function runtime.profile(fn, ...)
  opts.callable("profile", "argument #1", fn)
  local began = core.clock()
  core.profile_start()
  local results = table.pack(pcall(fn, ...))
  local rows, total = core.profile_stop(), core.clock() - began
  if not results[1] then error(results[2], 0) end
  table.sort(rows, function(a, b) return a.seconds > b.seconds end)
  print(("%-24s %9s %7s %8s %9s"):format("op", "ms", "calls", "share", "kept MiB"))
  local counted = 0
  for _, row in ipairs(rows) do
    counted = counted + row.seconds
    local kept = row.kept > 0 and legible.format("%9.2f", row.kept / 2 ^ 20) or ""
    print(legible.said("%-24s %9.2f %7d %7.1f%% %s", row.name .. (row.backward and " back" or ""),
      row.seconds * 1e3, row.calls, 100 * row.seconds / total, kept))
  end
  print(legible.format("%-24s %9.2f %7s %7.1f%%", "between ops, after them", (total - counted) * 1e3, "",
    100 * (total - counted) / total))
  return table.unpack(results, 2, results.n)
end

return runtime
