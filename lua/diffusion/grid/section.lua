-- Grids in guided-diffusion's notation. T is cut into sections, each with its own number of steps;
-- or "ddimN" gives a whole stride.
local fail = require "diffusion.fail"
local made = require "diffusion.grid.made"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local what = "grid.section"

-- Rounds half to even, as Python does.
local function even(x)
  local whole = math.floor(x)
  local over = x - whole
  return over > 0.5 and whole + 1 or over == 0.5 and whole + whole % 2 or whole
end

-- The smallest stride k for which 1, 1 + k, ... up to T has N times. Raises, with the nearest
-- possible N, if there is none.
local function stride(N, T)
  local below, above = 0, math.maxinteger
  for k = 1, T - 1 do
    local count = (T - 1) // k + 1
    if count == N then return k end
    if count < N then below = math.max(below, count) else above = math.min(above, count) end
  end
  local near = below == 0 and tostring(above) or above > T and tostring(below)
    or ("%d and %d"):format(below, above)
  fail.raise("%s: no whole stride gives %d of %d steps; the nearest that one gives: %s. 'section' with the number "
    .. "alone gives any", what, N, T, near)
end

local function by_stride(N, T)
  local times, k = {}, stride(N, T)
  for i = 1, N do times[i] = 1 + (N - i) * k end
  return times
end

-- Appends the rising times of one section that starts after `before`.
local function add_section(times, before, size, count)
  local step, place = count > 1 and (size - 1) / (count - 1) or 1, 0.0
  for _ = 1, count do
    times[#times + 1] = before + 1 + even(place)
    place = place + step
  end
end

local function by_sections(counts, T)
  local rising, before = {}, 0
  for i, count in ipairs(counts) do
    local size = T // #counts + (i <= T % #counts and 1 or 0)
    if count > size then
      fail.raise("%s: section %d of %d has %d levels, so it can't have %d steps; take %d or fewer there", what, i,
        #counts, size, count, size)
    end
    add_section(rising, before, size, count)
    before = before + size
  end
  local times, n = {}, #rising
  if n == 0 then fail.raise("%s: at least one step expected, got none in all of %d sections", what, #counts) end
  for i, t in ipairs(rising) do times[n + 1 - i] = math.tointeger(t) end
  return times
end

-- "10,15,20", a list of such numbers, or one number, as a list.
local function counts_of(sections)
  local list = {}
  if type(sections) == "string" then
    for word in (sections .. ","):gmatch "([^,]*)," do list[#list + 1] = tonumber(word) or word end
  else
    list = type(sections) == "table" and sections or { sections }
  end
  for i, count in ipairs(list) do
    if not (type(count) == "number" and math.tointeger(count) and count >= 0) then
      fail.raise("bad argument #2 to '%s' (numbers of steps expected, as in \"10,15,20\" or \"ddim50\", but number %d "
        .. "is %s)", what, i, kind.shown(count))
    end
  end
  if #list == 0 then fail.raise("bad argument #2 to '%s' (a string, a list or a number expected, got %s)", what,
    kind.shown(sections)) end
  return list
end

local section = {}

local rules = opts.declare("grid_section", { last = made.last })

--- Cuts T into equal sections, one per number, the earliest first. Each number is the number of
--- steps of its section, from its first level to its last, rounded half to even. It is the
--- `timestep_respacing` in the code of Dhariwal & Nichol 2021. "ddimN" is 1, 1 + k, ... with the
--- smallest whole k that gives N steps. A section of one step has its first level: section(T, 1)
--- starts from t = 1.
---@param source diffusion.process|diffusion.schedule|integer
---@param sections string|integer[]|integer "10,15,20", {10, 15, 20}, 25 or "ddim25"
---@param o diffusion.grid_section_options?
---@return diffusion.grid
---@usage print(d.grid.section(300, "3,2,1"))
function section.section(source, sections, o)
  local schedule, T = made.source(what, source)
  o = opts.check(what, o, rules, 3)
  local stepped = type(sections) == "string" and math.tointeger(tonumber(sections:match "^ddim(%d+)$"))
  local times = stepped and by_stride(stepped, T) or by_sections(counts_of(sections), T)
  return made.checked("section", times, T, schedule, o.last)
end

return section
