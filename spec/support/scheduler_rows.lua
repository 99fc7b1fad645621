-- Rows of spec/peers/schedulers.py: runs of diffusers' schedulers. judge(row) makes the same run by
-- d.hub.scheduler and compares every step.
local d = require "diffusion"
local json = require "diffusion.file.json"
local defects = dofile "spec/support/scheduler_defects.lua"

local rows = {}

--- Rows of a file, one a line.
function rows.read(path)
  local out = {}
  for line in io.lines(path) do out[#out + 1] = assert(json.decode(line)) end
  return out
end

-- ==== inputs =================================================================================

local B, C, H, W = 2, 3, 4, 4
local shape = { B, C, H, W }

local function ours(x) return x:reshape(shape):permute(1, 3, 4, 2):contiguous() end
local function theirs(x) return x:permute(1, 4, 2, 3):contiguous():flatten():totable() end

-- Filled as in diffusers' tests: the batch index varies fastest.
local function filled(reverse, signed)
  local n, values = B * C * H * W, {}
  for b = 0, B - 1 do
    for i = 0, n // B - 1 do
      local index = i * B + b
      local value = (reverse and n - 1 - index or index) / n
      values[#values + 1] = signed and value * 2 - 1 or value
    end
  end
  return ours(d.tensor(values))
end

local scores = { ScoreSdeVeScheduler = true, KarrasVeScheduler = true }

-- Their network, x t/(t + 1) or a score, and a variance in [0, 1) if it is learned.
local function network(class, x, t, learned)
  local out = x * (scores[class] and -1 / (t * t + 1) or t / (t + 1))
  return learned and d.cat({ out, x:abs() / (x:abs() + 1) }, 4) or out
end

-- ==== a run ==================================================================================

-- diffusers' samples y in our units: x = a y for its classes of sigma.
local of_sigma = { EulerDiscreteScheduler = true, EulerAncestralDiscreteScheduler = true,
  LMSDiscreteScheduler = true, HeunDiscreteScheduler = true, KDPM2DiscreteScheduler = true,
  KDPM2AncestralDiscreteScheduler = true }
local upward = { DDIMInverseScheduler = true, DPMSolverMultistepInverseScheduler = true }
-- Their samples are recorded after a step of several evaluations.
local by_steps = { ScoreSdeVeScheduler = true, ScoreSdeVpScheduler = true, KarrasVeScheduler = true,
                   RePaintScheduler = true }
-- Their last step is recorded with noise and, at the end, without.
local ends_twice = { ScoreSdeVeScheduler = true, ScoreSdeVpScheduler = true }
-- Their normals, channels first.
local function normals()
  local g = d.generator { kind = "torch", seed = 0 }
  return function() return ours(g:randn(B, C, H, W)) end
end

--- The config of a row, with its class.
function rows.config(row)
  local config = { _class_name = row.c }
  for key, value in pairs(row.o) do config[key] = value end
  return config
end

local function options_of(row)
  local o = { steps = row.n, first = row.from and row.from + 1 or nil }
  for _, more in ipairs { row.set or {}, row.step or {} } do
    for key, value in pairs(more) do o[key] = value end
  end
  o.seq = nil
  if row.c == "RePaintScheduler" then
    o.original, o.mask = filled(true, row.signed), d.cat({ d.ones(B, H, 2, C), d.zeros(B, H, W - 2, C) }, 3)
  end
  return o
end

local function learned(row) return row.o.variance_type == "learned" or row.o.variance_type == "learned_range" end

-- The peer's x in our units at the start of a run.
local function start_of(row, init, process, t, scale)
  local sample, noise, defect = filled(false, row.signed), filled(true, row.signed), defects.of(row)
  if defect and defect.start then return defect.start(row, sample, noise, process, t, row.t[1]) end
  if row.from then return (process:q_sample(sample, t, noise)) end
  if upward[row.c] then return sample * scale(t) end
  return sample * (init * scale(t))
end

-- The sigmas of a grid as diffusers counts them: s/a, or w on a path.
local function sigmas_of(row, process, grid)
  local schedule, out = process.schedule, {}
  local function sigma(t)
    local a, w = t == 0 and 1 or schedule:signal(t), t == 0 and 0 or schedule:noise(t)
    if math.abs(a + w - 1) > 1e-9 then return schedule:sigma(t) end
    return row.o.invert_sigmas and a or w
  end
  for i, step in ipairs(grid) do out[i] = sigma(step[1]) end
  out[#out + 1] = sigma(grid.last)
  return out
end

-- Runs a row here from noise of the scale `init`. Returns a record with the same columns, or raises.
local function run_of(row, init)
  local process, sampler, grid, wrap, facts = d.hub.scheduler(rows.config(row), options_of(row))
  if not process then error(sampler, 0) end
  local got = { t = {}, x = {}, at = {} }
  local function scale(t) return of_sigma[row.c] and process.schedule:signal(t) or 1 end
  local evaluations = 0
  local model = wrap(function(x, t)
    evaluations = evaluations + 1
    if type(t) ~= "number" then t = type(t) == "table" and t[1] or t:flatten():totable()[1] end
    got.t[evaluations] = t - 1
    return network(row.c, x, t - 1, learned(row))
  end)
  local first = upward[row.c] and grid.last or grid[1][1]
  local x = start_of(row, init, process, first, scale)
  local function keep(value, t, index)
    got.x[#got.x + 1], got.at[#got.x + 1] = theirs(value * (1 / scale(t))), index
  end
  keep(x, first, 1)
  local run = d.sampler.steps { model = model, process = process, sampler = sampler, grid = grid, init = x,
    noise = normals(), nan = "keep" }
  for step in run do
    local calls = by_steps[row.c] and step.i or evaluations
    keep(step.x, upward[row.c] and step.t or step.s, ends_twice[row.c] and step.i == step.n and calls + 2 or calls + 1)
  end
  got.s, got.timesteps, got.init = sigmas_of(row, process, grid), facts.timesteps, facts.start / scale(first)
  return got
end

-- ==== comparing ==============================================================================

local tolerance = 1e-5
local double = d.zeros(1):dtype() == "f64"

local function largest(column)
  local most = 0
  for _, v in ipairs(column) do if type(v) == "number" then most = math.max(most, math.abs(v)) end end
  return math.max(most, 1e-9)
end

-- NaN and infinity are null in the records.
local function lost(x) return type(x) ~= "number" or x ~= x or math.abs(x) == math.huge end

local function off(got, want, most)
  if lost(got) or lost(want) then return lost(got) and lost(want) and 0 or math.huge end
  return math.abs(got - want) / (tolerance * most)
end

local function sums(x)
  local a, w = 0, 0
  for i, v in ipairs(x) do
    a = a + math.abs(v)
    w = w + v * (7 * (i - 1) % 11 - 5)
  end
  return a, w
end

-- The same where the peer's float32 has come to NaN, so there is nothing to compare.
local lost_digits = 1e-3

-- Whether the peer's run came to NaN or infinity.
local function any_lost(row)
  for _, v in ipairs(row.a or {}) do if lost(v) then return true end end
  return false
end

-- How far the peer in float32 is from itself in double. Our float32 is allowed eight times as much, since the two
-- round differently.
local function rounding(row)
  if double then return 0 end
  local worst = row.off or 3e-6 -- less isn't recorded
  for _, key in ipairs { "a", "w", "e" } do
    local most = largest(row[key] or {})
    for i, v in ipairs(row.double and row.double[key] or {}) do
      local other = row[key] and row[key][i]
      if lost(other) and not lost(v) then return lost_digits end
      if not lost(v) then worst = math.max(worst, math.abs(v - other) / most) end
    end
  end
  return worst
end

-- A list in which a run of equal numbers, as steps of two evaluations have them, is one. nil if it has NaN.
local function once(list)
  local out = {}
  for _, v in ipairs(list) do
    if lost(v) then return nil end
    if not out[1] or math.abs(out[#out] - v) > 1e-5 * math.abs(v) then out[#out + 1] = v end
  end
  return out
end

-- diffusers' list of sigmas has other levels (score, upward), or one more at the end (log_linear).
local function has_sigmas(row)
  return row.s and not row.c:find "^Score" and not upward[row.c] and row.o.interpolation_type ~= "log_linear"
end

-- hold(error, name, ...) keeps the largest error, in units of the tolerance, and says where it is.
local function keeper()
  local worst, where = 0, "nothing"
  local function hold(value, name, ...)
    if not (value <= worst) then worst, where = value, name:format(...) end
  end
  return hold, function() return worst, where end
end

local function shown(v) return type(v) == "number" and ("%.7g"):format(v) or "NaN" end

local function hold_sums(hold, got, want)
  local a, w = largest(want.a), largest(want.w)
  local function sums_at(x, index)
    local abs, signed = sums(x)
    hold(off(abs, want.a[index], a), "the sum after call %d (%.7g for %s)", index - 1, abs, shown(want.a[index]))
    hold(off(signed, want.w[index], w), "the signed sum after call %d (%.7g for %s)", index - 1, signed,
      shown(want.w[index]))
  end
  for k, x in ipairs(got.x) do
    if got.at[k] <= #want.a then sums_at(x, got.at[k]) else hold(math.huge, "more calls than %d", #want.a) end
  end
  sums_at(got.x[#got.x], #want.a)
end

-- The first values at the end. x - sigma eps cancels, so 1e-6 of the values that it is made of is allowed too.
local function hold_end(hold, got, want)
  local last, most = got.x[#got.x], largest(want.e) + 0.1 * largest(want.a) / (B * C * H * W)
  for i, v in ipairs(want.e) do
    hold(off(last[i], v, most), "value %d at the end (%.7g for %s)", i, last[i], shown(v))
  end
end

-- The times that the network was shown, and those that the library says it will be.
local function hold_times(hold, got, want)
  local most = largest(want.t)
  local function near(t, wanted, name, i)
    if type(wanted) ~= "number" then return end
    hold(math.abs(t - wanted) / (1e-4 * math.max(1, math.abs(wanted)) + 1e-6 * most), "%s %d (%.7g for %.7g)", name, i,
      t, wanted)
  end
  for i, t in ipairs(got.t) do near(t, want.t[i], "the time of call", i) end
  for i, t in ipairs(#got.timesteps == #want.t and got.timesteps or {}) do near(t, want.t[i], "timestep", i) end
end

-- The factor of the first noise.
local function hold_start(hold, row, got, want)
  if row.from or upward[row.c] or not want.init then return end
  hold(off(got.init, want.init[1], want.init[1]), "the first noise's factor (%.7g for %.7g)", got.init, want.init[1])
end

local function hold_sigmas(hold, row, got, want)
  local theirs_ = has_sigmas(row) and once(want.s)
  if not theirs_ then return end
  local ours_, most = once(got.s), largest(theirs_)
  if #ours_ ~= #theirs_ then hold(math.huge, "%d sigmas for %d", #ours_, #theirs_) end
  for i, v in ipairs(theirs_) do
    if ours_[i] then hold(off(ours_[i], v, most), "sigma %d (%.7g for %.7g)", i, ours_[i], v) end
  end
end

-- Whether the peer's timesteps in double are others than in float32: it truncates numbers such as 999 - 1e-13.
local function truncated(row)
  for i, t in ipairs(row.double and row.double.t or {}) do
    if not lost(t) and not lost(row.t[i]) and math.abs(t - row.t[i]) > 0.5 then return true end
  end
  return false
end

-- The largest error, and where it is.
local function compared(row, got, want, allowed)
  local hold, result = keeper()
  hold_sums(hold, got, want)
  hold_end(hold, got, want)
  hold_times(hold, got, want)
  hold_start(hold, row, got, want)
  hold_sigmas(hold, row, got, want)
  local worst, where = result()
  return worst / allowed, where
end

local function in_double(row)
  if not row.double or row.double.error then return nil end
  local out = {}
  for _, key in ipairs { "init", "t", "s", "a", "w", "e" } do out[key] = row.double[key] or row[key] end
  return out
end

-- ==== judging ================================================================================

local function refusal(row, message)
  message = message:gsub("^spec/support/scheduler_rows%.lua:%d+: ", "")
  if message:find "attempt to" or message:find "%.lua:%d" or message:find "traceback" then
    return "failed", "not a sentence: " .. message
  end
  if row.error then return "refused by both", message end
  return "refused", message
end

-- init_noise_sigma, 1 if the peer raised before it was read.
local function init_of(record) return (record.init or { 1 })[1] end

--- How a row comes out: "met", "met in double", "refused", "refused by both", "raised by the peer",
--- "defect" or "failed", and why.
function rows.judge(row)
  local defect, other = defects.of(row), in_double(row)
  local ok, got = pcall(run_of, row, init_of(row))
  if not ok then return refusal(row, tostring(got)) end
  if row.error and not (other and other.a) then return "raised by the peer", row.error[3] end
  local worst, where, doubled = math.huge, "", math.huge
  local allowed = 1 + 8 * (truncated(row) and lost_digits or rounding(row)) / tolerance
  if not row.error then worst, where = compared(row, got, row, allowed) end
  if worst <= 1 and defect and defect.start then return "defect", defect.why end
  if worst <= 1 then return "met", where end
  if other then doubled = compared(row, run_of(row, init_of(other)), other, allowed) end
  if doubled <= 1 then return "met in double", where end
  if defect and not defect.start and (defect.unmet or any_lost(row)) then return "defect", defect.why end
  return "failed", ("%s, %.3g times what is allowed"):format(where, math.min(worst, doubled))
end

--- A row as text: its class, options, steps and start.
function rows.name(row)
  local o = {}
  for key, value in pairs(row.o) do
    o[#o + 1] = ("%s=%s"):format(key, type(value) == "table" and "list" or tostring(value))
  end
  table.sort(o)
  for _, more in ipairs { row.set or {}, row.step or {} } do
    for key, value in pairs(more) do o[#o + 1] = ("%s:%s"):format(key, type(value) == "table" and "list" or value) end
  end
  return ("%s{%s} n=%d%s%s"):format(row.c:gsub("Scheduler$", ""), table.concat(o, " "), row.n,
    row.from and (" from=%d"):format(row.from) or "", row.signed and " signed" or "")
end

local outcomes = { "met", "met in double", "refused", "refused by both", "raised by the peer", "defect", "failed" }

-- Counts the outcomes of rows by class. It returns the classes in order, and sentences about them, too.
local function outcomes_of(all)
  local by_class, names, told = {}, {}, {}
  local function tell(line)
    if not told[line] then told[#told + 1], told[line] = line, true end
  end
  for _, row in ipairs(all) do
    local how, why = rows.judge(row)
    if not by_class[row.c] then by_class[row.c], names[#names + 1] = {}, row.c end
    by_class[row.c][how] = (by_class[row.c][how] or 0) + 1
    if how == "failed" then tell(("failed: %s: %s"):format(rows.name(row), why)) end
    if how == "refused" then tell("refused: " .. why) end
    if how == "defect" then tell(("defect: %s: %s"):format(row.c, why)) end
  end
  return by_class, names, told
end

--- Judges the rows of a file. Prints the failures, the refusals, the defects and a line for each class. Returns the
--- number of failures.
function rows.report(path)
  local by_class, names, told = outcomes_of(rows.read(path))
  for _, line in ipairs(told) do print(line) end
  local form = "%-40s" .. ("%10s"):rep(#outcomes)
  print(form:format("class", "met", "in double", "refused", "by both", "by peer", "defect", "failed"))
  local failed = 0
  for _, name in ipairs(names) do
    local counts = {}
    for i, how in ipairs(outcomes) do counts[i] = by_class[name][how] or 0 end
    print(form:format(name, table.unpack(counts)))
    failed = failed + counts[#outcomes]
  end
  return failed
end

return rows
