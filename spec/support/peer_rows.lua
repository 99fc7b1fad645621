-- The expected values that diffusers' tests publish, one per line of
-- scheduler_expected.tsv. rows() reads them. run(row) returns our value, or nil and the
-- reason.
local d = require "diffusion"
local json = require "diffusion.file.json"
local float32 = dofile "spec/support/float32.lua"
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
  local own = row.timesteps:match '"timesteps": (%b[])'
  if own then
    row.config.timesteps = json.decode(own)
    row.steps = #row.config.timesteps
  end
  return row
end

--- All rows, in the order of the file.
function rows.read(path)
  local out = {}
  for line in io.lines(path) do
    if not line:find "^scheduler\t" then out[#out + 1] = read(line) end
  end
  return out
end

-- ==== numbers ================================================================================

-- (s_s^2)(1 - SNR_t/SNR_s), with levels counted from 0.
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

-- ==== one step for each sample, at different times ==================================

-- Samples 1 to 4 are at their time 0, 5 to 8 at 1, and 9 to 12 at 2. A step of DDPM goes
-- to the time before, and one of DDIM in 10 steps goes to the data.
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

-- Their tests of Euler, Heun, LMS and DPM2 pass the scaled sample, a y, to the network,
-- and then also to the step instead of y. So x is multiplied by a before each step here.
-- The network gets the sample itself, also scaled in the second call of a step.
local function scaled_twice(plan, y)
  local schedule, first = plan.schedule, true
  local function denoise(x, t)
    local a, sigma = schedule:signal(t), schedule:sigma(t)
    local shown = first and x * (1 / a) or x
    first = false
    local out = peer.network(shown, plan:shown(t))
    if plan.process.predict == "eps" then return shown - out * sigma, out end
    local x0 = shown * a ^ 2 - out * (sigma * a)
    return x0, (shown - x0) * (1 / sigma)
  end
  return plan:walk(y * plan:scale(plan.first), plan:pairs(), denoise, function(x, pair)
    first = true
    return x * schedule:signal(pair.t)
  end)
end

-- Their IPNDM test runs the times twice, with the history of the first run in the second.
local function twice(plan, y, in_float32)
  local all, denoise = plan:pairs(), nil
  table.move(all, 1, #all, #all + 1)
  if in_float32 then
    local sampler, told = float32.ipndm(plan.process.T)
    plan.sampler = sampler
    function denoise(x, t) return peer.network(x, told(t)) end
  end
  return plan:walk(y, all, denoise)
end

-- A last step from a level to itself changes nothing, but UniPC corrects x before it.
local function with_idle_step(plan, y)
  local all = plan:pairs()
  local last, n = plan.grid.last, #all + 1
  all[n] = { t = last, s = last, i = n, n = n }
  for _, pair in ipairs(all) do pair.n = n end
  return plan:walk(y, all)
end

-- The standard deviation of their start, in their units.
local function start_scale(row, schedule, t)
  if row.class:find "^EDM" then return math.sqrt(80 ^ 2 + 1) end
  return row.class:find "^SA" and 1 or schedule:sigma(t)
end

-- The initial samples of a test, noised if the row says so.
local function start(row, plan, whole)
  local shape = row.test:find "1DTest" and { 4, 3, 8 } or nil
  local y = peer.sample(shape)
  if row.loop:find("x0*=init_noise_sigma", 1, true) then y = y * start_scale(row, plan.schedule, whole) end
  if not row.loop:find "add_noise" then return y end
  local t, noise = plan.first, peer.noise(shape)
  if plan.sigma then return y + noise * plan.schedule:sigma(t) end
  return d.mix(plan.schedule:signal(t), y, plan.schedule:noise(t), noise)
end

-- The coefficients are rounded as in diffusers; it clips x0 itself.
local function ddpm_in_float32(plan, config)
  local process = plan.process
  plan.process = d.process { schedule = process.schedule, predict = process.predict }
  local kind = config.beta_schedule or "squaredcos_cap_v2"
  plan.sampler = float32.ddpm(kind, config.beta_start, config.beta_end, process.T)
end

local function loop(row, in_float32)
  local N = row.steps or row.config.num_train_timesteps or 1000
  local whole, why = peer.plan(row.class, row.config, N)
  if not whole then return nil, why end
  local plan = whole
  if row.loop:find "add_noise" or row.test:find "uneven" then
    plan = peer.plan(row.class, row.config, N, N - (row.calls + whole.calls - 1) // whole.calls + 1)
  end
  if row.class:find "^LMS" and plan ~= whole then
    plan.sampler = d.sampler.preset("diffusers-lms-of-missing-slopes", { skipped = plan.skipped })
  end
  if in_float32 and (row.class:find "^DDPM" or row.class:find "^UnCLIP") then ddpm_in_float32(plan, row.config) end
  if row.test:find "_deter$" then plan.sampler.gamma = 0 end
  if row.class:find "^EDMDPM" then plan:without_scaling() end
  local y = start(row, plan, whole.first)
  if plan.sigma and (row.loop:find "BOTH model and step" or row.loop:find "%[both%]"
    or row.loop:find "^x0%*=init_noise_sigma; x=scale") then return scaled_twice(plan, y) end
  if row.loop:find "TWICE" then return twice(plan, y, in_float32) end
  if plan.idle and not plan.upward then return with_idle_step(plan, y) end
  return plan:run(y)
end

--- Returns our value of a row: a number, a tensor, or nil and a reason. With in_float32,
--- diffusers' own tables of alpha_bar are used.
function rows.run(row, in_float32)
  row.config.in_float32 = in_float32
  if row.loop:find "^scalar" then return scalar(row) end
  if row.loop:find "batch_step_no_noise" then return batch_step(row) end
  return loop(row, in_float32)
end

-- The published values of these rows differ much from a computation in float64. These are
-- the values of diffusers' code (0.29.2) with float64 instead of float32, and torch's
-- normal numbers.
rows.in_double = {
  ["DDPMScheduler test_full_loop_with_noise"] = 387.9672510039638,
  ["DDPMParallelScheduler test_full_loop_with_noise"] = 387.9672510039638,
  ["DPMSolverMultistepInverseScheduler test_full_loop_no_noise_thres"] = 15279.664578850055,
  ["EulerDiscreteScheduler test_full_loop_with_noise"] = 57062.858020242056,
  ["IPNDMScheduler test_full_loop_no_noise"] = 1951117983.4980648,
  ["KDPM2DiscreteScheduler test_full_loop_with_noise"] = 70408.52683285181,
  ["LMSDiscreteScheduler test_full_loop_with_noise"] = 27663.47669162426,
  ["SASolverScheduler test_full_loop_device_karras_sigmas"] = 837.2768533927567,
  ["UnCLIPScheduler test_full_loop"] = 252.43900166359728,
  ["UnCLIPScheduler test_full_loop_skip_timesteps"] = 258.34106760806253,
}

-- Rows that cannot be reproduced, and why.
rows.without = {
  DPMSolverSDEScheduler = "its noise is torchsde's Brownian tree, and its figure depends on the device",
  ScoreSdeVeScheduler = "its corrector's step is the batch's mean, where ours is of each sample",
}

local function name_of(row) return ("%s %s"):format(row.class, row.test:match "[^.]*$") end

--- Why a row is left out, or nil.
function rows.reason(row) return rows.without[row.class] end

local function totals(value)
  if type(value) == "number" then return value end
  return value:abs():sum():item(), value:abs():mean():item()
end

local function within(got, want, tolerance) return not tolerance or math.abs(got - want) <= tolerance end

-- True within the tolerance of the row and near the reproduced value; some tolerances are
-- too wide.
local function agrees(row, value)
  local sum, mean = totals(value)
  if not (within(sum, row.sum, row.tol_sum) and within(mean, row.mean, row.tol_mean)) then return false end
  if row.reproduced_sum then return within(sum, row.reproduced_sum, 5e-5 * math.abs(row.reproduced_sum) + 1e-6) end
  return not row.reproduced_mean or within(mean, row.reproduced_mean, 5e-5 * row.reproduced_mean)
end

--- The result of a row, and the computed value. The result is "float64", "float32"
--- (rounded as in diffusers), "not covered", or "failed".
function rows.judge(row)
  if rows.reason(row) then return "not covered", rows.reason(row) end
  local value = assert(rows.run(row))
  if agrees(row, value) then return "float64", totals(value) end
  value = assert(rows.run(row, true))
  return agrees(row, value) and "float32" or "failed", totals(value)
end

--- The values of diffusers and of ours in double; nil if unknown.
function rows.compare_in_double(row)
  local double = rows.in_double[name_of(row)]
  if double then return double, (totals(rows.run(row))) end
end

--- The number of rows for each result, and a line for each row that does not simply
--- agree.
function rows.summary(path)
  local count, lines = {}, {}
  for i, row in ipairs(rows.read(path)) do
    local how, what = rows.judge(row)
    count[how] = (count[how] or 0) + 1
    if how ~= "float64" then
      lines[#lines + 1] = ("row %d  %s  %s  %s"):format(i, name_of(row), how, type(what) == "number"
        and ("%.10g for %.10g"):format(what, row.reproduced_sum or row.sum or row.mean) or what)
    end
  end
  return count, lines
end

return rows
