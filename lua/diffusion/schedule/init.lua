-- d.schedule: noise schedules by name, from lists and from functions. A schedule has two columns
-- over 0..T: the signal a_t and the noise s_t of x_t = a_t x_0 + s_t eps. All else is derived from
-- them. Times are 1..T. Accessors take a number and return a double, or take a list or a tensor and
-- return a tensor.
local core = require "diffusion.core"
local made = require "diffusion.schedule.made"
local fail = require "diffusion.fail"
local lookup = require "diffusion.lookup"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

--- A noise schedule: x_t = signal(t) x_0 + noise(t) eps.
---@class diffusion.schedule
---@field T integer number of steps
---@field name string
local Schedule = core.schedule_meta.methods
core.schedule_meta.__methods = Schedule -- for prompts and help
core.schedule_meta.__newindex = object.refuse_write
local schedule, by_name = {}, {}

local function add(family, named)
  for name, make in pairs(family) do schedule[name], by_name[name] = make, named end
end
add(require "diffusion.schedule.named", true)
add(require "diffusion.schedule.continuous", true)
add(require "diffusion.schedule.from", nil)

-- ==== methods in addition to the core's ====================================================

--- The same schedule, shifted and scaled so that x_T holds no signal (Lin et al. 2024, alg. 1). The
--- first level is not changed.
---@return diffusion.schedule
function Schedule:rescale_zero_terminal_snr()
  return made.schedule("rescale_zero_terminal_snr", nil,
    core.schedule_zero_terminal(self, self.name .. " with zero terminal SNR"))
end

--- Plots a quantity of the schedule against u = t/T; see d.plot.schedules.
---@param o diffusion.plot_schedules_options?
---@return boolean|nil ok nil with a message if it fails
---@return string|nil message
function Schedule:plot(o)
  local plot = require "diffusion.plot.lines"
  opts.check("plot", o, plot.schedule_rules)
  return plot.schedules({ self }, o)
end

--- A table of plain values from which schedule.from_config makes the same schedule. Real levels of a
--- function are interpolated in it.
---@return table
function Schedule:config()
  local out = {}
  for key, value in pairs(object.private[self] or {}) do out[key] = value end
  if next(out) then return out end
  local ln_a, ln_s = self:columns()
  return { name = self.name, vp = self:is_vp(), ln_signal = ln_a, ln_noise = ln_s }
end

--- The schedule that a config describes.
---@param config table
---@return diffusion.schedule|nil schedule nil with a message if it describes none
---@return string|nil message
function schedule.from_config(config)
  if type(config) ~= "table" then return nil, "the schedule's description is no table" end
  if not config.ln_signal then
    if not by_name[config.name] then return nil, opts.unknown("schedule", config.name, schedule.names()) end
    local o = {}
    for key, value in pairs(config) do if key ~= "name" then o[key] = value end end
    return made.of_file(schedule[config.name], o)
  end
  if type(config.name) ~= "string" or type(config.vp) ~= "boolean" then
    return nil, "the schedule's description lacks its name, or whether a^2 + s^2 is 1"
  end
  return fail.try(core.schedule_columns, config.name, config.ln_signal, config.ln_noise, config.vp)
end

--- The names of schedules, sorted.
---@return string[]
function schedule.names()
  return opts.names(by_name)
end

local blocks = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

-- The share of the signal a^2 / (a^2 + s^2) along t, as characters of eight heights.
local function sparkline(s, width)
  local line = {}
  for i = 1, math.min(width, s.T) do
    local t = 1 + (i - 1) * (s.T - 1) // math.max(1, math.min(width, s.T) - 1)
    local snr = s:snr(t)
    line[i] = blocks[1 + math.floor(7 * snr / (1 + snr) + 0.5)]
  end
  return table.concat(line)
end

object.methods("schedule", Schedule)
lookup.strict("schedule", Schedule, { "T", "name" })

function core.schedule_meta.__tostring(s)
  local what = s:is_vp() and "alpha_bar" or "signal"
  local rest = s:snr(s.T) > 1e-3 and ("\n  x_T keeps signal (SNR %.3g), but sampling starts from "
    .. "pure noise, which training never saw"):format(s:snr(s.T)) or ""
  return ("schedule %s: T = %d, %s %.6g .. %.4g, sigma %.4g .. %.4g, prior KL %.3g bits/dim  %s"):format(
    s.name, s.T, what, s[what](s, 1), s[what](s, s.T), s:sigma(1), s:sigma(s.T), s:prior_kl(),
    sparkline(s, 24)) .. rest
end
legible.speaks(core.schedule_meta)

return { schedule = schedule }
