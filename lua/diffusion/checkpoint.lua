--- Model files as networks, and checkpoints: all that a run needs to go on bit for bit. A
--- model file carries its process, so that loading can't mismatch the two.
local container = require "diffusion.container"
local core = require "diffusion.core"
local model = require "diffusion.nn.model"
local family = require "diffusion.nn.family"
local optim = require "diffusion.optim"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local process_from_config = require("diffusion.process").process_from_config

local checkpoint = {}

-- ==== models ================================================================================

-- The network that a file describes, with the file's values.
local function build(path, config, tensors)
  if type(config) ~= "table" then return legible.refused("%s: no network is described inside", path) end
  local m, message = fail.try(family.from_config, config, tensors)
  if not m then return legible.refused("%s: %s", path, message) end
  return m:load_state(tensors)
end

-- Is there a file? Nothing is opened, as a pipe would wait for who writes into it.
local function is_file(path) return core.place(path) == "file" end

local home = debug.getinfo(1, "S").source:match "^@(.*[/\\])" or ""

-- The file of a name: a path, or a network that comes with the library.
local function found(name)
  local own = ("%sassets/%s.safetensors"):format(home, name)
  return not is_file(name) and not name:find "[/\\]" and is_file(own) and own or name
end

--- A model file (model:save) as a network with its values, and its process (nil if it has
--- none). The file is mapped while it is read: a program that cuts it short meanwhile ends this
--- one (SIGBUS), unless copy = true has it read into memory first.
---@param path string a file; where there is none of that name, a network that comes with
---  the library: "digits" (8x8 pixels, classes 1 to 10 are the digits 0 to 9)
---@param options table|nil copy = false
---@return diffusion.model|nil model nil with a message where it isn't a good model file
---@return diffusion.process|string|nil process or the message
---@usage local model, process = d.load_model "digits"
function checkpoint.load_model(path, options)
  local o = opts.check("load_model", options, { copy = { "boolean", default = false } }, 2)
  path = found(opts.path("load_model", path))
  local tensors, facts = container.read(path, "model", o)
  if not tensors then return nil, facts end
  local p, why
  if facts.process then
    p, why = process_from_config(facts.process)
    if not p then return legible.refused("%s: its process: %s", path, why) end
  end
  local m, message = build(path, facts.model, tensors)
  if not m then return nil, message end
  return m, p
end

-- ==== checkpoints ===========================================================================

-- {a = x} under "prefix.a"
local function put(tensors, prefix, state)
  for name, x in pairs(state) do tensors[prefix .. "." .. name] = x end
end

local function take(tensors, prefix)
  local out = {}
  for name, x in pairs(tensors) do
    if name:sub(1, #prefix + 1) == prefix .. "." then out[name:sub(#prefix + 2)] = x end
  end
  return out
end

-- The averages, each with its prefix: "ema", "ema2", ...
local function averages_of(self)
  local out = {}
  for i, ema in ipairs(self.emas) do out[i] = { ema = ema, prefix = i == 1 and "ema" or "ema" .. i } end
  return out
end

--- What a run is made of and the file that it is kept in.
---@class diffusion.checkpoint
---@field extra table|nil after load: what was given to save
local Checkpoint = { __name = "diffusion.checkpoint" }
Checkpoint.__index = Checkpoint

function Checkpoint:__tostring()
  local parts = {}
  for _, name in ipairs { "model", "opt", "ema", "batches" } do
    if self[name] then parts[#parts + 1] = name end
  end
  return ("checkpoint %s of %s"):format(self.path, table.concat(parts, ", "))
end
legible.speaks(Checkpoint)

local rules = {
  path = { "path", required = true },
  model = { "model", required = true },
  opt = { "adamw" },
  ema = { "ema|table" },
  batches = { "any" },
}

--- What a run is made of, and the file that it is kept in.
---@param options table {path, model, opt, ema = an average or a list of them, batches}
---@return diffusion.checkpoint
function checkpoint.checkpoint(options)
  local o = opts.check("checkpoint", options, rules)
  o.emas = kind.of(o.ema) == "ema" and { o.ema } or o.ema or {}
  for i, ema in ipairs(o.emas) do
    if kind.of(ema) ~= "ema" then fail.raise("checkpoint: ema: entry %d is %s, not an ema", i, kind.shown(ema)) end
  end
  return setmetatable(o, Checkpoint)
end

--- Writes everything, whole or not at all: values, moments, averages, random counters, the
--- place in the data, and what the caller adds.
---@param extra table? what to remember, found equal in .extra after load: numbers, strings of any
---  bytes, booleans, and tables of these, up to 60 in one another; a table at two places stays one.
---  Whatever else, or a table in itself, is an error and nothing is written
---@return true|nil done nil with a message where it fails
---@return string|nil message
function Checkpoint:save(extra)
  if extra ~= nil and type(extra) ~= "table" then
    fail.raise("bad argument #1 to 'save' (a table of what to remember expected, got %s)", kind.shown(extra))
  end
  local tensors = {}
  local facts = { random = core.random_state(), extra = extra or {} }
  put(tensors, "model", self.model:state())
  facts.ema = {}
  for i, one in ipairs(averages_of(self)) do
    put(tensors, one.prefix, one.ema:state())
    facts.ema[i] = one.ema.updates
  end
  if self.opt then
    local state = self.opt:state()
    put(tensors, "first", state.first)
    put(tensors, "second", state.second)
    facts.opt = { steps = state.steps, skipped = state.skipped, lr = state.lr }
  end
  if self.batches then facts.batches = self.batches:state() end
  return container.write(self.path, "checkpoint", tensors, facts)
end

local function is_count(value, most)
  return math.type(value) == "integer" and value >= 0 and value <= (most or 1 << 53)
end

-- The updates of so many averages.
local function are_counts(list, n)
  if n > 0 and type(list) ~= "table" then return false end
  for i = 1, n do
    if not is_count(list[i]) then return false end
  end
  return true
end

local function is_random_state(list)
  local n = #core.random_state()
  if type(list) ~= "table" or #list ~= n or math.type(list[1]) ~= "integer" then return false end
  for i = 2, n do
    if not is_count(list[i], 0xFFFFFFFF) then return false end
  end
  return true
end

-- Which of the numbers that the run needs the file doesn't have; nil if all are there.
local function missing(self, facts)
  local opt = facts.opt
  if not are_counts(facts.ema, #self.emas) then return "the average's updates" end
  if self.opt and not (type(opt) == "table" and is_count(opt.steps) and is_count(opt.skipped)) then
    return "the optimiser's steps"
  end
  if self.batches and type(facts.batches) ~= "table" then return "the batches' steps" end
  if not is_random_state(facts.random) then return "the random counters" end
end

local function optimiser_state(tensors, facts)
  local told = facts.opt
  return { first = take(tensors, "first"), second = take(tensors, "second"), steps = told.steps,
           skipped = told.skipped, lr = told.lr }
end

-- What in the file doesn't fit what we have; nil if all fits. Nothing is changed.
local function trouble_of(self, tensors, facts)
  local function check(prefix, parameters)
    local trouble = model.mismatch(parameters, take(tensors, prefix))
    return trouble and ("%s %s"):format(prefix, trouble)
  end
  local trouble = check("model", self.model:parameters())
  for _, one in ipairs(averages_of(self)) do
    trouble = trouble or check(one.prefix, model.each(one.ema:state()))
  end
  if trouble then return trouble end
  local lost = missing(self, facts)
  if lost then return ("%s aren't in it"):format(lost) end
  return self.opt and optim.mismatch(self.opt, optimiser_state(tensors, facts)) or nil
end

--- Goes on from the file, if there is one.
---@return boolean|nil loaded true; false where there is no file; nil and a message, with
---  nothing changed, where the file can't be read or isn't of this run
---@return string|nil message
function Checkpoint:load()
  if core.place(self.path) == "new" then return false end -- what can't be read isn't gone
  local tensors, facts = container.read(self.path, "checkpoint")
  if not tensors then return nil, facts end
  local trouble = trouble_of(self, tensors, facts)
  if not trouble and self.batches then
    local ok, message = self.batches:load_state(facts.batches)
    if not ok then trouble = message end
  end
  if trouble then return legible.refused("%s: %s", self.path, trouble) end
  self.model:load_state(take(tensors, "model"))
  for i, one in ipairs(averages_of(self)) do
    one.ema:load_state(take(tensors, one.prefix))
    one.ema.updates = facts.ema[i]
  end
  if self.opt then
    self.opt:load_state(optimiser_state(tensors, facts))
  end
  core.set_random_state(facts.random)
  self.extra = type(facts.extra) == "table" and facts.extra or {}
  return true
end

object.methods("checkpoint", Checkpoint)

return checkpoint
