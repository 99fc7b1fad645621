-- The expectations that diffusers' tests publish, one a line of scheduler_expected.tsv, run
-- here: rows() reads them; run(row) gives our value, or nil and the reason why there is none.
local d = require "diffusion"
local json = require "diffusion.json"
local peer = dofile "spec/support/peer.lua"

local rows = {}

local columns = { "class", "source", "test", "config", "timesteps", "calls", "loop", "sum", "mean", "tol_sum",
                  "tol_mean", "reproduced_sum", "reproduced_mean", "deterministic", "notes" }

local function read(line)
  local row, i = {}, 0
  for field in (line .. "\t"):gmatch "(.-)\t" do
    i = i + 1
    row[columns[i]] = field
  end
  row.config = assert(json.decode(row.config))
  for _, name in ipairs { "calls", "sum", "mean", "tol_sum", "tol_mean", "reproduced_sum", "reproduced_mean" } do
    row[name] = tonumber(row[name])
  end
  row.steps = tonumber(row.timesteps:match "^%[%[(%d+)%]")
  return row
end

--- All rows, in the file's order.
function rows.read(path)
  local out = {}
  for line in io.lines(path) do
    if not line:find "^scheduler\t" then out[#out + 1] = read(line) end
  end
  return out
end

-- ==== numbers ================================================================================

-- (s_s^2)(1 - SNR_t/SNR_s) of levels they count from 0.
local function variance(schedule, t, s)
  return schedule:noise(s + 1) ^ 2 * (1 - schedule:snr(t + 1) / schedule:snr(s + 1))
end

local function scalar(row)
  local plan = peer.plan(row.class, row.config, 10)
  local t, s = row.loop:match "_get_variance%((%d+),? ?(%d*)%)"
  t = math.tointeger(tonumber(t))
  if s ~= "" then return variance(plan.schedule, t, math.tointeger(tonumber(s))) end
  local own = plan.process:step_variance(t + 1, t)
  return row.class == "UnCLIPScheduler" and math.sqrt(own) or own
end

-- ==== one step of each sample, at times of their own =========================================

-- Samples 1 to 4 at their time 0, 5 to 8 at 1, 9 to 12 at 2: of DDPM to the time before, of DDIM
-- in 10 steps to the data.
local function batch_step(row)
  local plan = peer.plan(row.class, row.config, 10)
  local x, t = peer.sample(), { 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3 }
  x = d.cat({ x, x + 0.1, x - 0.1 }, 1)
  local told = d.tensor { 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 2 / 3, 2 / 3, 2 / 3, 2 / 3 }
  local eps = x * told:reshape(12, 1, 1, 1)
  local x0 = plan.process:convert(eps, { from = "eps", to = "x0", xt = x, t = t }):clamp(-1, 1)
  if row.class:find "DDIM" then return x0 end
  local s = {}
  for b = 1, 12 do s[b] = t[b] - 1 end
  return (plan.process:posterior(x0, x, t, s))
end

-- ==== loops ==================================================================================

-- A sampler's arithmetic with torch's normals.
local function arithmetic(normals)
  local function mix_noise(sigma, ...)
    local x = select(2, ...)
    local z = type(normals) == "function" and normals(x) or normals:randn(x:shape())
    return d.mix(sigma, z, ...)
  end
  return { mix = d.mix, mix_noise = mix_noise,
           mix_path = function(sigma, _, _, _, ...) return mix_noise(sigma, ...) end }
end

local function pairs_of(plan)
  local out, n = {}, #plan.grid
  for i = 1, n do out[i] = { t = plan.grid[i][1], s = plan.grid[i][2], i = i, n = n } end
  return out
end

-- Step by step, from x in our units; before(x, pair) may change x first.
local function walk(plan, x, denoise, pairs, before)
  local step = d.sampler.step(plan.sampler, denoise, plan.process, arithmetic(plan:normals()))
  local history = {}
  for _, pair in ipairs(pairs) do
    if before then x = before(x, pair) end
    x = step(x, pair, history)
  end
  return x
end

local function plain(plan)
  return function(x, t) return plan.process:estimate(plan.network(x, t), x, t) end
end

-- Their tests of Euler, Heun, LMS and DPM2 hand the scaled sample, a y, to the network and then
-- to the step as well, in the place of y: our x is multiplied by a before each step, and what
-- the network is asked is the sample itself, on a step's second call scaled too.
local function scaled_twice(plan, y)
  local schedule, first = plan.schedule, true
  local function denoise(x, t)
    local a, sigma = schedule:signal(t), schedule:sigma(t)
    local shown = first and x * (1 / a) or x
    first = false
    local out = peer.network(shown, plan.shown(t))
    if plan.process.predict == "eps" then return shown - out * sigma, out end
    local x0 = shown * a ^ 2 - out * (sigma * a)
    return x0, (shown - x0) * (1 / sigma)
  end
  local x = walk(plan, y * plan:scale(plan.first), denoise, pairs_of(plan), function(x, pair)
    first = true
    return x * schedule:signal(pair.t)
  end)
  return x
end

-- Their IPNDM test walks the times twice, with the history of the first walk in the second.
local function twice(plan, y)
  local all = pairs_of(plan)
  return walk(plan, y, plain(plan), table.move(all, 1, #all, #all + 1, table.move(all, 1, #all, 1, {})))
end

-- A last step from a level to itself moves nothing, but UniPC corrects x before it.
local function with_idle_step(plan, y)
  local all = pairs_of(plan)
  local last = plan.grid.last
  for _, pair in ipairs(all) do pair.n = #all + 1 end
  all[#all + 1] = { t = last, s = last, i = #all + 1, n = #all + 1 }
  plan.sampler.lower_order_final = nil
  plan.sampler = d.sampler.preset("diffusers-unipc", { order = plan.sampler.order, variant = plan.sampler.variant })
  return walk(plan, y, plain(plan), all)
end

-- The standard deviation of their start, in their units.
local function start_scale(row, schedule, t)
  if row.class:find "^EDM" then return math.sqrt(80 ^ 2 + 1) end
  return schedule:sigma(t)
end

-- Samples as a test starts with them, noised where it says so.
local function start(row, plan, whole)
  local shape = row.test:find "1DTest" and { 4, 3, 8 } or nil
  local y = peer.sample(shape)
  if row.loop:find("x0*=init_noise_sigma", 1, true) then y = y * start_scale(row, plan.schedule, whole) end
  if not row.loop:find "add_noise" then return y end
  local t, noise = plan.first, peer.noise(shape)
  if plan.sigma then return y + noise * plan.schedule:sigma(t) end
  return d.mix(plan.schedule:signal(t), y, plan.schedule:noise(t), noise)
end

local function loop(row)
  local N = row.steps or row.class:find "^CM" and 2 or row.config.num_train_timesteps or 1000
  local whole, why = peer.plan(row.class, row.config, N)
  if not whole then return nil, why end
  local plan = whole
  if row.loop:find "add_noise" or row.test:find "uneven" then
    plan = peer.plan(row.class, row.config, N, N - (row.calls + whole.calls - 1) // whole.calls + 1)
  end
  local y = start(row, plan, whole.first)
  if row.loop:find "BOTH model and step" or row.loop:find "%[both%]"
    or row.loop:find "^x0%*=init_noise_sigma; x=scale" then return scaled_twice(plan, y) end
  if row.loop:find "TWICE" then return twice(plan, y) end
  if plan.idle and row.class == "UniPCMultistepScheduler" then return with_idle_step(plan, y) end
  return plan:run(y)
end

--- Our value of a row: a number, or a tensor; nil and a reason.
function rows.run(row)
  if row.loop:find "^scalar" then return scalar(row) end
  if row.loop:find "batch_step_no_noise" then return batch_step(row) end
  return loop(row)
end

return rows
