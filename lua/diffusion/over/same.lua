-- Options, shapes and sizes of sets must be the same on all ranks. Otherwise ranks would move apart in silence, or
-- wait for each other for ever.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

-- The texts of the values in a table, and in tables within it, by name. Functions and objects are compared by their
-- kind alone, since each rank has its own.
local function gather(out, prefix, values)
  for name, value in pairs(values) do
    local whole = prefix .. tostring(name)
    out[whole] = kind.shown(value)
    if out[whole] == "table" then gather(out, whole .. ".", value) end
  end
  return out
end

local function packed(values)
  local lines = {}
  for name, text in pairs(gather({}, "", values)) do lines[#lines + 1] = string.pack("<s4s4", name, text) end
  table.sort(lines)
  return table.concat(lines)
end

local function unpacked(text)
  local out, at = {}, 1
  while at <= #text do
    local name, value, after = string.unpack("<s4s4", text, at)
    out[name], at = value, after
  end
  return out
end

-- The first name in order whose texts differ.
local function first_difference(a, b)
  local first
  for _, values in ipairs { a, b } do
    for name in pairs(values) do
      if a[name] ~= b[name] and (not first or name < first) then first = name end
    end
  end
  return first
end

--- Raises unless all ranks give the same values.
---@param where string the caller, for messages
---@param ranks diffusion.mpi
---@param values table by name: plain values, tensors, of which the shape is compared, and tables of these
return function(where, ranks, values)
  local all = ranks.gather_text(packed(values))
  for r = 2, #all do
    if all[r] ~= all[1] then
      local a, b = unpacked(all[1]), unpacked(all[r])
      local name = first_difference(a, b)
      fail.raise("%s: %s is %s on rank 0, but %s on rank %d; all ranks need the same", where, name, a[name] or "nil",
        b[name] or "nil", r - 1)
    end
  end
end
