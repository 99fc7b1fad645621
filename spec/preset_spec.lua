-- Grids of other libraries: diffusers' own timesteps and sigmas, recorded by running it, and
-- formulas of the others at the N where floats and rounding tell.
local d = require "diffusion"
local json = require "diffusion.json"
local config = dofile "spec/support/diffusers_config.lua"
local fails = dofile "spec/support/fails.lua"

-- They are float32, and a time that was found from a sigma suffers from it.
local function near(want, got, what, least)
  if math.abs(want - got) <= 1e-4 * math.max(least, math.abs(want)) then return end
  error(("%s: expected %.8g, got %.8g"):format(what, want, got), 2)
end

-- The level number i among what solvers of two evaluations a step list twice, PLMS' second
-- level repeated, and the rest.
local function places(record)
  if record.order == 2 then
    return function(i) return 2 * i - 1 end, function(i) return math.max(1, 2 * i - 2) end
  end
  local repeated = #record.timesteps == record.n + 1
  local function place(i) return repeated and i > 1 and i + 1 or i end
  return place, place
end

local function compare(record, schedule, grid, shown, what)
  local time_at, sigma_at = places(record)
  local level = schedule:is_vp() and schedule.sigma or schedule:snr(schedule.T) == 0 and schedule.noise or schedule.sigma
  for i, step in ipairs(grid) do
    near(record.timesteps[time_at(i)], shown(step[1]), ("%s: time %d"):format(what, i), 1)
    if record.sigmas then near(record.sigmas[sigma_at(i)], level(schedule, step[1]), ("%s: sigma %d"):format(what, i), 0) end
  end
  if record.sigmas then near(record.sigmas[sigma_at(#grid + 1)], level(schedule, grid.last), what .. ": the end", 0) end
end

describe("recorded grids of diffusers", function()
  local file <close> = assert(io.open "spec/fixtures/scheduler_trajectories.json")
  local records = assert(json.decode(file:read "a")).records

  it("are ours, times and sigmas, but for three that are no sampling grids", function()
    local without = {}
    for i, record in ipairs(records) do
      local what = ("%d %s"):format(i, record.scheduler)
      local schedule, grid, shown = config.of(record.scheduler, record.config, record.n)
      if not schedule then
        without[#without + 1] = grid
      else
        local idle = record.n - #grid
        assert.is_true(idle == 0 or idle == 1 and grid.last == 1 and record.sigmas[record.n] == record.sigmas[record.n + 1],
          what)
        compare(record, schedule, grid, shown, what)
      end
    end
    assert.same({
      "interpolation_type log_linear: the network is told times that aren't those of its sigmas",
      "invert_sigmas: it walks upwards, from data to noise",
      "DDIMInverseScheduler: it walks upwards, or is unknown",
    }, without)
    assert.equal(85, #records)
  end)
end)
