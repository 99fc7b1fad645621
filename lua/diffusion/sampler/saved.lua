--- Runs in files: x, the solver's history and the place, so that another process goes on.
local core = require "diffusion.core"
local container = require "diffusion.container"
local opts = require "diffusion.opts"

local saved = {}

-- A value as JSON tells it: tensors by name, tables as lists of {key, value}.
local function packed(value, name, tensors)
  if core.is_tensor(value) then
    tensors[name] = value
    return { tensor = name }
  end
  if type(value) ~= "table" then return { value = value } end
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

--- Writes a run, whole or not at all.
---@param run diffusion.run
---@param path string
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function saved.save(run, path)
  opts.path("run:save", path)
  local tensors = { x = run._x }
  local facts = { sampler = run.name, shape = run.shape, schedule = run.process.schedule.name,
    noise = run.noise, grid = plain(run.grid), i = run.i, seed = run.seed, draws = run.draws,
    evaluations = run.evaluations, history = packed(run.history, "history", tensors) }
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
  local own = { sampler = run.name, shape = run.shape, noise = run.noise, schedule = run.process.schedule.name }
  for _, what in ipairs { "sampler", "schedule", "noise", "shape" } do
    if facts[what] ~= own[what] then
      return ("its %s is %s, this run's is %s"):format(what, tostring(facts[what]), own[what])
    end
  end
  if not x or x:dtype() ~= core.real or opts.shape_text(x) ~= run.shape then
    return ("x is %s, this run's is of %s %s"):format(opts.shown(x), core.real, run.shape)
  end
  return same_grid(run, facts.grid)
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
  run.x = tensors.x:clone()
  for _, name in ipairs { "i", "seed", "draws", "evaluations" } do rawset(run, name, facts[name]) end
  rawset(run, "history", unpacked(facts.history, tensors))
  return true
end

return saved
