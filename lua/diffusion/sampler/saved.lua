-- Runs in files: x, the solver's history and the place, so that another process can continue.
local core = require "diffusion.core"
local container = require "diffusion.file.container"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local memory = require "diffusion.sampler.memory"
local noise = require "diffusion.sampler.noise"

local saved = {}

local fault = parser.fault()

local function is_key(key) return type(key) == "string" or type(key) == "number" and key == key end

local function check_stored(fine, what, name)
  if not fine then fault("its %s %s is damaged", what, name) end
end

-- The history of a file of form 1, stored as lists of {key, value}. Form 2 stores it as it is. Raises
-- a fault if the file has anything else. The tensors are those of the file.
local function unpacked(stored, tensors, name)
  check_stored(type(stored) == "table", "value", name)
  if stored.tensor ~= nil then
    check_stored(core.is_tensor(tensors[stored.tensor]), "tensor", name)
    return tensors[stored.tensor]
  end
  if stored.entries == nil then
    check_stored(type(stored.value) ~= "table" and stored.value ~= nil, "value", name)
    return stored.value
  end
  check_stored(type(stored.entries) == "table", "table", name)
  local out = {}
  for _, entry in ipairs(stored.entries) do
    check_stored(type(entry) == "table" and is_key(entry[1]), "table", name)
    out[entry[1]] = unpacked(entry[2], tensors, ("%s.%s"):format(name, entry[1]))
  end
  return out
end

-- A copy whose tensors outlive the scope in which load is called. A tensor that occurs several times
-- is copied once.
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

local function is_default(value, rule)
  local default = rule.default
  return value == default or type(value) == "table" and type(default) == "table" and #value == 0 and #default == 0
end

-- A sampler's options as one line. One with the rule `later = true` is younger than files of runs,
-- which lack it. It is left out at its default.
local function options_text(options, rules)
  local list = {}
  for name, value in pairs(options) do
    local plain_list = type(value) == "table" and fail.pcall(table.concat, value)
    local text = plain_list and "{" .. table.concat(value, ", ") .. "}" or kind.shown(value)
    local rule = rules[name] or {}
    if not (rule.later and is_default(value, rule)) then list[#list + 1] = name .. " = " .. text end
  end
  table.sort(list)
  return #list > 0 and table.concat(list, ", ") or "none"
end

-- The properties on which a run and its file must agree.
local function traits(own)
  local process, levels = own.process, {}
  for i, step in ipairs(own.grid) do
    levels[i] = ("%.10g %.10g"):format(process.schedule:signal(step[1]), process.schedule:noise(step[1]))
  end
  return { sampler = own.name, options = options_text(own.sampler_options, own.solver.rules or {}),
           shape = own.shape, noise = own.noise, schedule = process.schedule.name,
           levels = table.concat(levels, ", "), predict = process.predict }
end

--- Writes a run. The file is whole or not written at all.
---@param own table a run's private state
---@param path string
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function saved.save(own, path)
  opts.path("run:save", path)
  if noise.given(own.noise) then
    fail.raise("run:save: this run's noise is a %s, whose state can't be saved; use seed =", kind.of(own.noise))
  end
  local tensors, facts = { x = own.now.x }, core.in_c_locale(traits, own)
  local place = { grid = numbers_of(own.grid), i = own.now.i, seed = own.seed, draws = own.now.draws,
    evaluations = own.evaluations, history = own.now.history, form = 2 }
  for key, value in pairs(place) do facts[key] = value end
  return container.write(path, "run", tensors, facts)
end

local function is_pair(stored)
  return type(stored) == "table" and type(stored[1]) == "number" and type(stored[2]) == "number"
end

local function same_grid(own, stored)
  if type(stored) ~= "table" then return "its grid is missing" end
  if #stored ~= #own.grid then return ("it has %d steps, this run has %d"):format(#stored, #own.grid) end
  for i, step in ipairs(own.grid) do
    if not is_pair(stored[i]) then return ("its step %d is damaged"):format(i) end
    if stored[i][1] ~= step[1] or stored[i][2] ~= step[2] then
      return ("its step %d goes from t = %g to %g, this run's from %g to %g"):format(i, stored[i][1], stored[i][2],
        step[1], step[2])
    end
  end
end

-- Checks the counters: steps, draws of noise (numbered in 32 bits), evaluations.
local function trouble_of_counts(own, facts)
  local most = { i = #own.grid, draws = 2 ^ 32 - 1, evaluations = 2 ^ 53 }
  for _, name in ipairs { "i", "draws", "evaluations" } do
    local n = facts[name]
    if math.type(n) ~= "integer" or n < 0 or n > most[name] then
      return ("its %s is %s, not a whole number in 0..%.0f"):format(name, kind.shown(n), most[name])
    end
  end
  if math.type(facts.seed) == "integer" then return nil end
  return ("its seed is %s, not a whole number"):format(kind.shown(facts.seed))
end

-- The history, with the file's tensors, or nil and a message.
local function history_of(own, facts, tensors)
  local history, message = facts.history, nil
  if facts.form ~= 2 then history, message = parser.run(unpacked, history, tensors, "history") end
  if type(history) ~= "table" or core.is_tensor(history) then return nil, message or "its history is no table" end
  local trouble = memory.trouble(own, history, facts.i)
  if trouble then return nil, trouble end
  return history
end

-- A sentence that says why the file doesn't fit this run, or nil.
local function trouble_of(own, facts, x)
  local mine = core.in_c_locale(traits, own)
  for _, what in ipairs { "sampler", "options", "schedule", "predict", "noise", "shape" } do
    if facts[what] ~= mine[what] then
      return ("its %s is %s, this run's is %s"):format(what, legible.text(facts[what]), mine[what])
    end
  end
  if not x or x:dtype() ~= core.real or kind.shape_text(x) ~= own.shape then
    return ("x is %s, this run's is of %s %s"):format(kind.shown(x), core.real, own.shape)
  end
  local trouble = same_grid(own, facts.grid) or trouble_of_counts(own, facts)
  if not trouble and facts.levels ~= mine.levels then
    trouble = ("its schedule %s has other levels than this run's of that name"):format(mine.schedule)
  end
  return trouble
end

--- Continues from a file that `save` wrote, in a run made with the same options. The next step is
--- the one that the saved run would have taken.
---@param own table a run's private state
---@param path string
---@return true|nil done nil with a message, and nothing changed, if the file is not from such a run
---@return string|nil message
function saved.load(own, path)
  local tensors, facts = container.read(opts.path("run:load", path), "run")
  if not tensors then return nil, facts end
  local trouble, history = trouble_of(own, facts, tensors.x), nil
  if not trouble then history, trouble = history_of(own, facts, tensors) end
  if trouble then return legible.refused("%s: %s", path, trouble) end
  own.now = { x = owned(tensors.x, {}), i = facts.i, draws = facts.draws, history = owned(history, {}) }
  own.seed, own.evaluations = facts.seed, facts.evaluations
  return true
end

return saved
