-- Data-parallel steps on 2 to 1,024 ranks, simulated from what one rank was measured to need.
--   lua5.4 spec/bench/ranks.lua      measures demo, small and cifar on this machine
--   lua5.4 spec/bench/scale.lua      the tables, and build/bench/scale.svg
-- The model: a rank computes its pieces together (nn/over.h). The backward pass completes gradients evenly in time. A
-- bucket starts when its last gradient is complete and the link is free. Halving and doubling of n bytes over P ranks
-- cost 2 log2(P) alpha + 2 (P - 1)/P n (beta + gamma/2). Gamma is the time to add a byte. A step takes as long as on
-- one rank, and then until the last bucket is there. MPI moves messages only when it is called, between layers, so a
-- slow link takes longer.
local d = require "diffusion"
local kept = dofile "spec/bench/ranks_kept.lua"

local SHORT <const> = 4096 * 4 -- bytes up to which whole arrays are exchanged (csrc/comm/sum.c)
local CORES <const> = 2
local PIECES <const> = 8 -- the default

-- ==== measured on one thread of this machine ==============================================

-- {name, parameters, plain = seconds of the plain loop, steps, backward, optimiser = seconds by pieces of a rank}
local function network_of(name)
  local part = kept.read(name, 1)
  if not part then return end
  local w = { name = name, parameters = part.parameters, plain = part.ways.alone.seconds, steps = {}, backward = {} }
  for _, pieces in ipairs { 1, 2, 4 } do
    local way = "pieces=" .. pieces
    w.steps[pieces], w.backward[pieces] = part.ways[way].seconds, part.rows[way].backward
    w.optimiser = part.rows[way].adamw_step
  end
  return w
end

local networks = {}
for _, name in ipairs(kept.names) do networks[#networks + 1] = network_of(name) end
if #networks == 0 then
  print "nothing is measured; run lua5.4 spec/bench/ranks.lua"
  os.exit(1)
end

-- ==== links ===============================================================================

-- alpha: seconds of a message; beta: seconds per byte of the link; gamma: per byte added.
local gamma = 1 / 4e9
local links = {
  { name = "10 Gb/s, 0.1 ms", alpha = 1e-4, beta = 8 / 10e9 },
  { name = "10 Gb/s, 1 ms", alpha = 1e-3, beta = 8 / 10e9 },
  { name = "1 Gb/s, 0.1 ms", alpha = 1e-4, beta = 8 / 1e9 },
  { name = "1 Gb/s, 1 ms", alpha = 1e-3, beta = 8 / 1e9 },
}

-- ==== the model ===========================================================================

-- Seconds of the sum of n bytes over P ranks.
local function cost_of_sum(n, P, link)
  local levels = math.log(P, 2)
  if n <= SHORT then return levels * (link.alpha + n * (link.beta + gamma)) end
  return 2 * levels * link.alpha + 2 * (P - 1) / P * n * (link.beta + gamma / 2)
end

-- When the last bucket's sum is there, counted from the start of the last piece's backward pass.
local function end_of_sums(w, P, link, o, backward)
  local bytes, done, free = w.parameters * o.width, 0, 0
  local most = o.bucket * 2 ^ 20 * o.width / 4
  while done < bytes do
    local n = math.min(most, bytes - done)
    done = done + n
    free = math.max(free, backward * done / bytes) + cost_of_sum(n, P, link)
  end
  return free
end

local function pieces_of(P, o) return o.pieces and math.max(1, PIECES // P) or 1 end

-- Seconds of a step on P ranks, of which `crowd` share a core.
local function step_of(w, P, link, o, crowd)
  local pieces = pieces_of(P, o)
  local step, backward = w.steps[pieces] * (crowd or 1), w.backward[pieces] * (crowd or 1)
  local waiting = math.max(0, end_of_sums(w, P, link, o, backward) - backward)
  if not o.shard then return step + waiting end
  local values = (P - 1) / P * w.parameters * 4 * link.beta + math.log(P, 2) * link.alpha
  return step + waiting + values - w.optimiser * (1 - 1 / P)
end

local function efficiency(w, P, link, o) return w.plain / step_of(w, P, link, o) end

-- The first power of 2 of ranks at which the efficiency is below 0.9, or nil.
local function falls_at(w, link, o)
  for k = 1, 10 do
    if efficiency(w, 2 ^ k // 1 | 0, link, o) < 0.9 then return 2 ^ k // 1 | 0 end
  end
end

-- ==== tables and the plot =================================================================

local USUAL <const> = { bucket = 4, width = 4, pieces = true }

local function varied(change)
  local o = {}
  for key, value in pairs(USUAL) do o[key] = value end
  for key, value in pairs(change) do o[key] = value end
  return o
end

local variants = {
  { "as it is", USUAL }, { "1 piece", varied { pieces = false } },
  { "1 MiB", varied { pieces = false, bucket = 1 } }, { "16 MiB", varied { pieces = false, bucket = 16 } },
  { "64 MiB", varied { pieces = false, bucket = 64 } }, { "ZeRO-1", varied { pieces = false, shard = true } },
  { "bf16", varied { pieces = false, width = 2 } },
}

local function print_beside(w, part, P, way, o, link, crowd)
  local real, model = part.ways[way].seconds, step_of(w, P, link, o, crowd)
  print(("  %-6s %d ranks, %-9s predicted %8.1f ms, measured %8.1f ms, %+5.1f %%"):format(w.name, P, way, model * 1e3,
    real * 1e3, 100 * (model / real - 1)))
end

-- The ways of a part that was measured on P ranks.
local function print_part(w, part, P, link, crowd)
  local usual = "pieces=" .. PIECES // P
  print(("link: alpha %.1f us, %.3f GB/s"):format(link.alpha * 1e6, 1e-9 / link.beta))
  if part.ways[usual] then print_beside(w, part, P, usual, USUAL, link, crowd) end
  if part.ways["pieces=1"] then print_beside(w, part, P, "pieces=1", variants[2][2], link, crowd) end
end

-- Holds the model against real runs on this machine, and over a link that ranks_network.lua made. The plain loop on
-- both cores at once tells how much these slow each other down.
local function print_against_real()
  for _, w in ipairs(networks) do
    local two, four = kept.read(w.name, 2), kept.read(w.name, 4)
    local crowd = two and two.ways.both.seconds / two.ways.alone.seconds
    if two then print_part(w, two, 2, two.link, crowd) end
    if two and four then print_part(w, four, 4, two.link, crowd * 4 / CORES) end
    for _, rate in ipairs { "1gbit", "10gbit" } do
      local part = kept.read(w.name, rate)
      if two and part then print_part(w, part, 2, part.link, crowd) end
    end
  end
end

local function print_efficiencies()
  for _, w in ipairs(networks) do
    print(("%s: %d parameters, %.3f s a step; efficiency on 2, 4, 8 ... 1024 ranks"):format(w.name, w.parameters,
      w.plain))
    for _, link in ipairs(links) do
      local row = {}
      for k = 1, 10 do row[k] = ("%5.2f"):format(efficiency(w, 2 ^ k // 1 | 0, link, USUAL)) end
      print(("  %-16s %s"):format(link.name, table.concat(row, " ")))
    end
  end
end

local function print_variants()
  print "ranks at which the efficiency is below 0.9, and the efficiency on 1024"
  for _, w in ipairs(networks) do
    for _, link in ipairs(links) do
      local row = {}
      for i, v in ipairs(variants) do
        row[i] = ("%s %s (%.2f)"):format(v[1], falls_at(w, link, v[2]) or "never", efficiency(w, 1024, link, v[2]))
      end
      print(("  %-6s %-16s %s"):format(w.name, link.name, table.concat(row, ", ")))
    end
  end
end

local function plot(path)
  local series = {}
  for _, w in ipairs(networks) do
    for _, link in ipairs { links[1], links[3] } do
      local y = {}
      for k = 1, 10 do y[k] = efficiency(w, 2 ^ k // 1 | 0, link, USUAL) end
      series[#series + 1] = { ("%s, %s"):format(w.name, link.name), d.tensor(y) }
    end
  end
  return d.plot.lines(series, { file = path, title = "efficiency", xlabel = "log2 of the ranks" })
end

print_against_real()
print_efficiencies()
print_variants()
print(plot "build/bench/scale.svg")
