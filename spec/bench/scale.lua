-- Data-parallel steps on 2 to 1,024 ranks, simulated from what one rank was measured to need.
--   lua5.4 spec/bench/scale.lua                 the table, and build/bench/scale.svg
--   lua5.4 spec/bench/scale.lua measure         measures demo, small and cifar here first (minutes)
-- The model: a rank's backward pass completes gradients in the order of the network, evenly in time.
-- A bucket starts when its last gradient is complete and the link is free. A sum of n bytes over P
-- ranks costs 2 log2(P) alpha + 2 (P - 1)/P n (beta + gamma/2): halving, then doubling, where gamma
-- is the time to add a byte. A step ends when its forward and backward pass and the last bucket have,
-- plus the unpacking and the optimiser's step.
local d = require "diffusion"

local FILE <const> = "build/bench/scale_measured.lua"

-- ==== measured on one thread of this machine ==============================================

-- The seconds of a step, and of the rows of its profile.
local function run(name, words)
  local command = ("DIFFUSION_THREADS=1 lua5.4 spec/bench/scale_step.lua %s profile=1 %s"):format(name, words)
  local pipe <close> = assert(io.popen(command))
  local text, rows = pipe:read "a", { forward = 0, backward = 0 }
  for op, way, seconds in text:gmatch "row (%S+) (%S+) (%S+)" do
    rows[op] = (rows[op] or 0) + tonumber(seconds)
    rows[way] = rows[way] + tonumber(seconds)
  end
  local seconds, parameters = text:match "seconds (%S+).-parameters (%d+)"
  return assert(tonumber(seconds), text), tonumber(parameters), rows
end

-- The numbers of a network with so many samples on a rank, as Lua.
local function measured(name, batch)
  local plain, parameters, rows = run(name, "batch=" .. batch)
  local cut, _, own = run(name, ("batch=%d pieces=4"):format(batch))
  local optimiser = rows.adamw_step or 0
  local copies = (own.gradients_to_ranks or 0) + (own.gradients_from_ranks or 0)
  return ("  { name = %q, batch = %d, plain = %g, parameters = %d, forward = %g, backward = %g, optimiser = %g, "
    .. "copies = %g, pieces = %g },\n"):format(name, batch, plain, parameters, plain - rows.backward - optimiser,
    rows.backward, optimiser, copies, math.max(0, (cut - copies) / plain - 1))
end

local function measure()
  local file = assert(io.open(FILE, "w"))
  file:write "return {\n"
  for _, w in ipairs { { "demo", 64 }, { "small", 16 }, { "cifar", 16 } } do file:write(measured(w[1], w[2])) end
  file:write "}\n"
  file:close()
end

os.execute "mkdir -p build/bench"
if arg[1] == "measure" then measure() end
local known = loadfile(FILE)
if not known then
  print(FILE .. " isn't there; run lua5.4 spec/bench/scale.lua measure")
  os.exit(1)
end
local networks = known()

-- ==== links ===============================================================================

-- alpha: seconds of a message; beta: seconds per byte of the link; gamma: per byte added.
local links = {
  { name = "10 Gb/s, 0.1 ms", alpha = 1e-4, beta = 8 / 10e9 },
  { name = "10 Gb/s, 1 ms", alpha = 1e-3, beta = 8 / 10e9 },
  { name = "1 Gb/s, 0.1 ms", alpha = 1e-4, beta = 8 / 1e9 },
  { name = "1 Gb/s, 1 ms", alpha = 1e-3, beta = 8 / 1e9 },
}
local gamma <const> = 1 / 4e9
local SHORT <const> = 4096 * 4 -- bytes up to which whole arrays are exchanged (csrc/comm/sum.c)

-- ==== the model ===========================================================================

-- Seconds of the sum of n bytes over P ranks.
local function cost_of_sum(n, P, link)
  local levels = math.log(P, 2)
  if n <= SHORT then return levels * (link.alpha + n * (link.beta + gamma)) end
  return 2 * levels * link.alpha + 2 * (P - 1) / P * n * (link.beta + gamma / 2)
end

-- Sizes of buckets in bytes, from the last gradient to the first.
local function buckets_of(bytes, most)
  local list = {}
  while bytes > 0 do
    list[#list + 1] = math.min(most, bytes)
    bytes = bytes - list[#list]
  end
  return list
end

-- When the last bucket's sum is there, counted from the start of the backward pass.
local function end_of_sums(w, P, link, o)
  local bytes, done, free = w.parameters * o.width, 0, 0
  for _, n in ipairs(buckets_of(bytes, o.bucket * 2 ^ 20)) do
    done = done + n
    free = math.max(free, w.backward * done / bytes) + cost_of_sum(n, P, link)
  end
  return free
end

--- Seconds of a step on P ranks.
local function step_of(w, P, link, o)
  if P == 1 then return w.plain * (1 + (o.pieces and w.pieces or 0)) end
  local pieces = o.pieces and w.plain * w.pieces or 0
  local values = o.shard and (P - 1) / P * w.parameters * 4 * link.beta + math.log(P, 2) * link.alpha or 0
  local optimiser = o.shard and w.optimiser / P or w.optimiser
  local backward = math.max(w.backward, end_of_sums(w, P, link, o))
  return w.forward + backward + pieces + w.copies + optimiser + values
end

local function efficiency(w, P, link, o) return w.plain / step_of(w, P, link, o) end

-- The first power of 2 of ranks at which the efficiency is below 0.9, or nil.
local function falls_at(w, link, o)
  for k = 1, 10 do
    if efficiency(w, 2 ^ k, link, o) < 0.9 then return math.tointeger(2 ^ k) end
  end
end

-- ==== tables and the plot =================================================================

local usual = { bucket = 4, width = 4, pieces = true }
local variants = {
  { "as it is", usual }, { "bucket 1 MiB", { bucket = 1, width = 4, pieces = true } },
  { "bucket 25 MiB", { bucket = 25, width = 4, pieces = true } },
  { "one piece a rank", { bucket = 4, width = 4 } },
  { "ZeRO-1", { bucket = 4, width = 4, pieces = true, shard = true } },
  { "bf16 gradients", { bucket = 4, width = 2, pieces = true } },
}

local function print_efficiencies()
  for _, w in ipairs(networks) do
    print(("%s: %d parameters, %.3f s a step of %d samples"):format(w.name, w.parameters, w.plain, w.batch))
    for _, link in ipairs(links) do
      local row = {}
      for k = 1, 10 do row[k] = ("%5.2f"):format(efficiency(w, 2 ^ k, link, usual)) end
      print(("  %-16s %s"):format(link.name, table.concat(row, " ")))
    end
  end
end

local function print_variants()
  for _, w in ipairs(networks) do
    for _, link in ipairs(links) do
      local row = {}
      for i, v in ipairs(variants) do row[i] = ("%s %s"):format(v[1], falls_at(w, link, v[2]) or "never") end
      print(("  %-6s %-16s falls under 0.9 at: %s"):format(w.name, link.name, table.concat(row, ", ")))
    end
  end
end

local function plot(path)
  local series = {}
  for _, w in ipairs(networks) do
    for _, link in ipairs { links[1], links[3] } do
      local y = {}
      for k = 1, 10 do y[k] = efficiency(w, 2 ^ k, link, usual) end
      series[#series + 1] = { ("%s, %s"):format(w.name, link.name), d.tensor(y) }
    end
  end
  return d.plot.lines(series, { file = path, title = "efficiency against log2 of the ranks" })
end

print_efficiencies()
print_variants()
print(plot "build/bench/scale.svg")
