-- d.grid: the times that a sampler visits. A grid is a list of steps {t, s}, later time first, and
-- every sampler takes any grid. This file has all grids by name, and lists of your own.
local fail = require "diffusion.fail"
local made = require "diffusion.grid.made"
local presets = require "diffusion.grid.preset"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local grid, by_name = {}, {}

local function add(family)
  for name, make in pairs(family) do grid[name], by_name[name] = make, true end
end
add(require "diffusion.grid.formula")
add(require "diffusion.grid.section")
add(require "diffusion.grid.sigma")
by_name.sigmas = nil -- it takes a list instead of a number of steps

grid.preset, grid.presets = presets.preset, presets.names

local list_rules = opts.declare("grid_list", { last = made.last })

--- A grid of your own times, strictly falling within 0 < t <= T. A final 0 may be given or omitted.
---@param source diffusion.process|diffusion.schedule|integer
---@param times number[] real levels if the schedule has them
---@param o diffusion.grid_list_options?
---@return diffusion.grid
function grid.list(source, times, o)
  local schedule, T = made.source("grid.list", source)
  if type(times) ~= "table" then
    fail.raise("bad argument #2 to 'grid.list' (a list of times expected, got %s)", kind.of(times))
  end
  o = opts.check("grid.list", o, list_rules, 3)
  local list = table.move(times, 1, #times, 1, {})
  if list[#list] == 0 then list[#list] = nil end
  if #list == 0 then fail.raise("grid.list: at least one time in 1..T = %d expected", T) end
  for i, t in ipairs(list) do
    if type(t) ~= "number" or not (t > 0 and t <= T) then
      fail.raise("grid.list: times must be in 1..T = %d, but number %d is %s", T, i, kind.shown(t))
    end
    if i > 1 and t >= list[i - 1] then
      fail.raise("grid.list: times must fall, but number %d, %g, is followed by %g", i - 1, list[i - 1], t)
    end
    if schedule then fail.call(schedule.sigma, schedule, t) end
  end
  return made.checked("list", list, T, schedule, o.last)
end

--- The names of grids that take a number of steps, sorted. d.grid.presets() has more.
---@return string[]
function grid.names()
  return opts.names(by_name)
end

-- The grid or preset of this name, for samplers, or nil and a message.
local function find(name)
  if type(name) == "string" and by_name[name] then return grid[name] end
  local preset, message = presets.find(name)
  if preset or type(name) == "string" and name:find "-" then return preset, message end
  return nil, opts.unknown("grid", name, grid.names())
end

return { grid = grid, made = made.grid, find = find }
