-- Makes each allocation fail in turn; run by alloc_host. Each scenario must raise an
-- error of memory, or finish with the same result. It must then run again with the same
-- result, and leak nothing.
-- alloc_host spec/support/alloc_check.lua [tries of each kind, 0: all] [names of
-- scenarios, or parts]
local host = host -- luacheck: ignore 113

local most, wanted = tonumber((...)) or 0, { select(2, ...) }

local d = require "diffusion"
local core = require "diffusion.core"
local forge = require "spec.support.forge"
d.threads(1)

local faults, tries = 0, 0

local function fault(format, ...)
  faults = faults + 1
  if faults <= 100 then print("FAULT " .. format:format(...)) end
end

local function blocks()
  collectgarbage()
  collectgarbage()
  return core.memory().blocks
end

-- True for the messages of diffusion and Lua, and for that of a file that cannot be
-- opened.
local function is_of_memory(message)
  return message:find "not enough memory" or message:find "Cannot allocate memory"
end

-- One try with its own objects. Returns true if an allocation failed.
local function try(s, where, want, kind, n, once)
  local state = s.new()
  local hit, fine, message = host.attempt(kind, n, once, function() s.run(state) end)
  if not fine then
    if not is_of_memory(tostring(message)) then fault("%s: %s", where, tostring(message)) end
    if s.failed then
      local whole, why = pcall(s.failed, state)
      if not whole then fault("%s: %s", where, why) end
    end
    local again, trouble = pcall(s.run, state)
    if not again then fault("%s: the next one: %s", where, tostring(trouble)) return hit end
  end
  if s.told(state) ~= want then fault("%s: %s", where, fine and "another result" or "another result afterwards") end
  if hit and fine and not once and s.spares ~= kind then fault("%s: no error", where) end
  return hit
end

-- The number of allocations, and the result without failures.
local function measure(s, kind)
  local state = s.new()
  local _, fine, message = host.attempt(kind, math.maxinteger, true, function() s.run(state) end)
  if not fine then error(("%s: %s"):format(s.name, message), 0) end
  return host.seen(kind), s.told(state)
end

-- The positions among n that are tried: all, or a number of them, evenly spread.
local function places(n)
  if most == 0 or n <= most then return 1, n, 1 end
  local step = n // most
  return 1 + tries % step, n, step
end

local function sweep(s, kind, once)
  local n, want = measure(s, kind)
  local before, from, to, step = blocks(), places(n)
  for i = from, to, step do
    local where = ("%s: %s request %d of %d%s"):format(s.name, kind, i, n, once and "" or " and all later ones")
    try(s, where, want, kind, i, once)
    tries = tries + 1
    local left = blocks() - before
    if left ~= 0 then
      fault("%s: %d blocks left", where, left)
      before = before + left
    end
  end
  return n
end

local function is_wanted(name)
  for _, part in ipairs(wanted) do
    if name:find(part, 1, true) then return true end
  end
  return #wanted == 0
end

for _, s in ipairs(require "spec.support.alloc_scenarios") do
  if is_wanted(s.name) then
    local counts = {}
    for _, kind in ipairs { "core", "system", "lua" } do
      measure(s, kind) -- lists grow once
      counts[#counts + 1] = sweep(s, kind, true)
      sweep(s, kind, false)
    end
    print(("%-40s %s"):format(s.name, table.concat(counts, " ")))
    io.stdout:flush()
  end
end
forge.clean()
print(("%d tries, %d faults"):format(tries, faults))
if faults > 0 then error("memory that runs out isn't handled everywhere", 0) end
