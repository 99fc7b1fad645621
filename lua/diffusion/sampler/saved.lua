--- Runs in files: x, the solver's history and the place, so that another process goes on.
local core = require "diffusion.core"
local container = require "diffusion.container"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local memory = require "diffusion.sampler.memory"
local noise = require "diffusion.sampler.noise"

local saved = {}

local function is_key(key) return type(key) == "string" or type(key) == "number" and key == key end

local function check_told(fine, what, name)
  if not fine then fail.raise("its %s %s is damaged", what, name) end
end

-- The history of files of form 1, which tell it as lists of {key, value}; form 2 has it as it is. An error
-- where a file tells something else. Tensors are the file's.
local function unpacked(told, tensors, name)
  check_told(type(told) == "table", "value", name)
  if told.tensor ~= nil then
    check_told(core.is_tensor(tensors[told.tensor]), "tensor", name)
    return tensors[told.tensor]
  end
  if told.entries == nil then
    check_told(type(told.value) ~= "table" and told.value ~= nil, "value", name)
    return told.value
  end
  check_told(type(told.entries) == "table", "table", name)
  local out = {}
  for _, entry in ipairs(told.entries) do
    check_told(type(entry) == "table" and is_key(entry[1]), "table", name)
    out[entry[1]] = unpacked(entry[2], tensors, ("%s.%s"):format(name, entry[1]))
  end
  return out
end

-- The same with tensors of the run's own, which outlive the scope that load is called in. One that
-- stands at several places stays one.
local function owned(value, made)
  if made[value] then return made[value] end
  if core.is_tensor(value) then
    made[value] = core.unscope(value:clone())
    return made[value]
  end
  if type(value) ~= "table" then return value end
  local out = {}
  made[value] = out
  for k, v in pairs(value) do out[k] = owned(v, made) end
  return out
end

-- Pairs {t, s} as plain numbers.
local function numbers_of(grid)
  local out = {}
  for i, step in ipairs(grid) do out[i] = { step[1], step[2] } end
  return out
end

-- A sampler's options as one line.
local function options_text(options)
  local list = {}
  for name, value in pairs(options) do
    local plain_list = type(value) == "table" and fail.pcall(table.concat, value)
    local text = plain_list and "{" .. table.concat(value, ", ") .. "}" or kind.shown(value)
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
    fail.raise("run:save: this run's noise is a %s, whose place no file would tell; use seed =", kind.of(run.noise))
  end
  local tensors, facts = { x = run.x }, core.in_c_locale(traits, run)
  local place = { grid = numbers_of(run.grid), i = run.i, seed = run.seed, draws = run.drawn,
    evaluations = run.evaluations, history = run.history, form = 2 }
  for key, value in pairs(place) do facts[key] = value end
  return container.write(path, "run", tensors, facts)
end

local function is_pair(told)
  return type(told) == "table" and type(told[1]) == "number" and type(told[2]) == "number"
end

local function same_grid(run, told)
  if type(told) ~= "table" then return "its grid isn't in it" end
  if #told ~= #run.grid then return ("it has %d steps, this run has %d"):format(#told, #run.grid) end
  for i, step in ipairs(run.grid) do
    if not is_pair(told[i]) then return ("its step %d is damaged"):format(i) end
    if told[i][1] ~= step[1] or told[i][2] ~= step[2] then
      return ("its step %d goes from t = %g to %g, this run's from %g to %g"):format(i, told[i][1], told[i][2],
        step[1], step[2])
    end
  end
end

-- The counters: how far it is, how much noise it has drawn (numbered in 32 bits), how often it has asked.
local function trouble_of_counts(run, facts)
  local most = { i = #run.grid, draws = 2 ^ 32 - 1, evaluations = 2 ^ 53 }
  for _, name in ipairs { "i", "draws", "evaluations" } do
    local n = facts[name]
    if math.type(n) ~= "integer" or n < 0 or n > most[name] then
      return ("its %s is %s, not a whole number in 0..%.0f"):format(name, kind.shown(n), most[name])
    end
  end
  if math.type(facts.seed) == "integer" then return nil end
  return ("its seed is %s, no whole number"):format(kind.shown(facts.seed))
end

-- The history as values, their tensors the file's, or nil and what is wrong with it.
local function history_of(run, facts, tensors)
  local history, message = facts.history, nil
  if facts.form ~= 2 then history, message = fail.try(unpacked, history, tensors, "history") end
  if type(history) ~= "table" or core.is_tensor(history) then return nil, message or "its history is no table" end
  local trouble = memory.trouble(run, history, facts.i)
  if trouble then return nil, trouble end
  return history
end

-- What of the file isn't as this run has it; nil: nothing.
local function trouble_of(run, facts, x)
  local own = core.in_c_locale(traits, run)
  for _, what in ipairs { "sampler", "options", "schedule", "predict", "noise", "shape" } do
    if facts[what] ~= own[what] then
      return ("its %s is %s, this run's is %s"):format(what, legible.text(facts[what]), own[what])
    end
  end
  if not x or x:dtype() ~= core.real or kind.shape_text(x) ~= run.shape then
    return ("x is %s, this run's is of %s %s"):format(kind.shown(x), core.real, run.shape)
  end
  local trouble = same_grid(run, facts.grid) or trouble_of_counts(run, facts)
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
  local trouble, history = trouble_of(run, facts, tensors.x), nil
  if not trouble then history, trouble = history_of(run, facts, tensors) end
  if trouble then return legible.refused("%s: %s", path, trouble) end
  rawset(run, "now", { x = owned(tensors.x, {}), i = facts.i, drawn = facts.draws, history = owned(history, {}) })
  for _, name in ipairs { "seed", "draws", "evaluations" } do rawset(run, name, facts[name]) end
  return true
end

return saved
