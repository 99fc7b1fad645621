--- Runs in files: x, the solver's history and the place, so that another process goes on.
local core = require "diffusion.core"
local container = require "diffusion.container"
local opts = require "diffusion.opts"
local noise = require "diffusion.sampler.noise"

local saved = {}

-- A value as JSON tells it: tensors by name, tables as lists of {key, value}.
local function packed(value, name, tensors)
  if core.is_tensor(value) then
    tensors[name] = value
    return { tensor = name }
  end
  if type(value) ~= "table" then
    local kind = type(value)
    if kind ~= "number" and kind ~= "boolean" and not (kind == "string" and utf8.len(value)) then
      opts.fail("run:save: %s is a %s; tensors, numbers, booleans, strings in UTF-8 and tables of these can be saved",
        name, kind == "string" and "string that isn't UTF-8" or opts.kind(value))
    end
    return { value = value }
  end
  local entries = {}
  for k, v in pairs(value) do
    entries[#entries + 1] = { k, packed(v, name .. "." .. tostring(k), tensors) }
  end
  return { entries = entries }
end

local function unpacked(told, tensors)
  if told.tensor then return tensors[told.tensor]:clone() end
  if not told.entries then return told.value end
  local out = {}
  for _, entry in ipairs(told.entries) do out[entry[1]] = unpacked(entry[2], tensors) end
  return out
end

-- Pairs {t, s} as plain numbers.
local function plain(grid)
  local out = {}
  for i, step in ipairs(grid) do out[i] = { step[1], step[2] } end
  return out
end

-- A sampler's options as one line.
local function options_text(options)
  local list = {}
  for name, value in pairs(options) do
    local plain_list = type(value) == "table" and opts.caught(table.concat, value)
    local text = plain_list and "{" .. table.concat(value, ", ") .. "}" or opts.shown(value)
    list[#list + 1] = name .. " = " .. text
  end
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "none"
end

-- What a run must share with the file that it goes on from.
local function traits(run)
  local process, levels = run.process, {}
  for i, step in ipairs(run.grid) do
    levels[i] = ("%.10g %.10g"):format(process.schedule:signal(step[1]), process.schedule:noise(step[1]))
  end
  return { sampler = run.name, options = options_text(run.sampler_options), shape = run.shape, noise = run.noise,
           schedule = process.schedule.name, levels = table.concat(levels, ", "), predict = process.predict }
end

--- Writes a run, whole or not at all.
---@param run diffusion.run
---@param path string
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function saved.save(run, path)
  opts.path("run:save", path)
  if noise.given(run.noise) then
    opts.fail("run:save: this run's noise is a %s, whose place no file would tell; use seed =", opts.kind(run.noise))
  end
  local tensors, facts = { x = run.x }, traits(run)
  local place = { grid = plain(run.grid), i = run.i, seed = run.seed, draws = run.drawn,
    evaluations = run.evaluations, history = packed(run.history, "history", tensors) }
  for key, value in pairs(place) do facts[key] = value end
  return container.write(path, "run", tensors, facts)
end

local function same_grid(run, told)
  if #told ~= #run.grid then return ("it has %d steps, this run has %d"):format(#told, #run.grid) end
  for i, step in ipairs(run.grid) do
    if told[i][1] ~= step[1] or told[i][2] ~= step[2] then
      return ("its step %d goes from t = %g to %g, this run's from %g to %g"):format(i, told[i][1], told[i][2],
        step[1], step[2])
    end
  end
end

-- What of the file isn't as this run has it; nil: nothing.
local function trouble_of(run, facts, x)
  local own = traits(run)
  for _, what in ipairs { "sampler", "options", "schedule", "predict", "noise", "shape" } do
    if facts[what] ~= own[what] then
      return ("its %s is %s, this run's is %s"):format(what, tostring(facts[what]), own[what])
    end
  end
  if not x or x:dtype() ~= core.real or opts.shape_text(x) ~= run.shape then
    return ("x is %s, this run's is of %s %s"):format(opts.shown(x), core.real, run.shape)
  end
  local trouble = same_grid(run, facts.grid)
  if not trouble and facts.levels ~= own.levels then
    trouble = ("its schedule %s has other levels than this run's of that name"):format(own.schedule)
  end
  return trouble
end

--- Goes on from a file that `save` wrote, in a run made with the same options: its next step
--- is what the saved run's would have been.
---@param run diffusion.run
---@param path string
---@return true|nil done nil with a message, and nothing changed, where the file isn't such a run
---@return string|nil message
function saved.load(run, path)
  local tensors, facts = container.read(opts.path("run:load", path), "run")
  if not tensors then return nil, facts end
  local trouble = trouble_of(run, facts, tensors.x)
  if trouble then return nil, ("%s: %s"):format(path, trouble) end
  for _, name in ipairs { "seed", "draws", "evaluations" } do rawset(run, name, facts[name]) end
  rawset(run, "now", { x = core.unscope(tensors.x:clone()), i = facts.i, drawn = facts.draws,
                       history = unpacked(facts.history, tensors) })
  return true
end

return saved
