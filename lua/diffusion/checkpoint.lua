--- Model files and checkpoints. Both are safetensors: tensors by name, and in the metadata
--- what else there is to know, as JSON. A model file carries its process, so that loading
--- can't mismatch the two; a checkpoint carries all that a run needs to go on bit for bit.
local core = require "diffusion.core"
local files = require "diffusion.files"
local json = require "diffusion.json"
local model = require "diffusion.nn.model"
local stock = require "diffusion.nn.stock"
local opts = require "diffusion.opts"
local process_from_config = require("diffusion.process").process_from_config

local checkpoint = {}

local VERSION = 1

-- ==== what both kinds of file share ========================================================

local function write(path, kind, tensors, facts)
  return files.save(path, tensors, {
    format = "diffusion", version = tostring(VERSION), kind = kind, facts = json.encode(facts),
  })
end

-- tensors and facts, or nil and a message; `kind` is what the file should be.
local function read(path, kind, instead)
  local tensors, metadata = files.load(path)
  if not tensors then return nil, metadata end
  if metadata.format ~= "diffusion" then
    return nil, ("%s: not a file of this library; d.load reads any safetensors file"):format(path)
  end
  local version = math.tointeger(tonumber(metadata.version or ""))
  if not version or version > VERSION then
    return nil, ("%s: format version %s; this library reads up to %d, a newer one is needed"):format(
      path, tostring(metadata.version), VERSION)
  end
  if metadata.kind ~= kind then
    return nil, ("%s: a %s, not a %s; %s"):format(path, tostring(metadata.kind), kind, instead)
  end
  local facts, message = json.decode(metadata.facts or "")
  if type(facts) ~= "table" then return nil, ("%s: %s"):format(path, message or "no description inside") end
  return tensors, facts
end

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

local function iterate(state)
  local name
  return function()
    local x
    name, x = next(state, name)
    return name, x
  end
end

-- ==== models ================================================================================

local save_rules = { process = { "process" }, weights = { "any" } }

--- Writes the model as one file: its values (or an average's), what it is, and the process
--- it was trained for.
---@param path string
---@param options table? {process = , weights = an ema}
---@return true|nil done nil with a message where the file can't be written
---@return string|nil message
function model.methods:save(path, options)
  local o = opts.check("save", options, save_rules, 2)
  local facts = { model = self:config() }
  if o.process then facts.process = o.process:config() end
  return write(path, "model", (o.weights or self):state(), facts)
end

--- Reads the values of a model file into this model.
---@param path string
---@return table|nil self nil with a message, and nothing changed, where they don't fit
---@return string|nil message
function model.methods:load(path)
  local tensors, facts = read(path, "model", "d.checkpoint reads it")
  if not tensors then return nil, facts end
  local trouble = model.mismatch(self:parameters(), tensors)
  if trouble then return nil, ("%s: %s"):format(path, trouble) end
  return self:load_state(tensors)
end

local builders = { unet = stock.unet, mlp = stock.mlp }

local function build(path, config)
  local make = type(config) == "table" and builders[config.kind]
  if not make then
    return nil, ("%s: holds a network composed in Lua ('%s'); build it by its constructor, then "
      .. "model:load(path)"):format(path, tostring(type(config) == "table" and config.name))
  end
  local o = {}
  for k, v in pairs(config) do if k ~= "kind" then o[k] = v end end
  local ok, m = pcall(make, o)
  if not ok then return nil, ("%s: %s"):format(path, m) end
  return m
end

--- A model file as a network with its values, and its process (nil if it has none).
---@param path string
---@return table|nil model nil with a message where it isn't a good model file
---@return any process or the message
function checkpoint.load_model(path)
  local tensors, facts = read(path, "model", "d.checkpoint reads it")
  if not tensors then return nil, facts end
  local m, message = build(path, facts.model)
  if not m then return nil, message end
  local trouble = model.mismatch(m:parameters(), tensors)
  if trouble then return nil, ("%s: %s"):format(path, trouble) end
  m:load_state(tensors)
  if not facts.process then return m end
  local p, why = process_from_config(facts.process)
  if not p then return nil, ("%s: its process: %s"):format(path, why) end
  return m, p
end

-- ==== checkpoints ===========================================================================

local Checkpoint = { __name = "diffusion.checkpoint" }
Checkpoint.__index = Checkpoint

local rules = {
  path = { "string", required = true },
  model = { "any", required = true },
  opt = { "any" },
  ema = { "any" },
  batches = { "any" },
}

--- What a run is made of, and the file that it is kept in.
---@param options table {path, model, opt, ema, batches}
---@return table checkpoint :load() and :save{...}
function checkpoint.checkpoint(options)
  return setmetatable(opts.check("checkpoint", options, rules), Checkpoint)
end

--- Writes everything, whole or not at all: values, moments, averages, random counters, the
--- place in the data, and what the caller adds.
---@param extra table? plain values to remember, found in .extra after load
---@return true|nil done, string? message
function Checkpoint:save(extra)
  local tensors = {}
  local facts = { random = core.random_state(), extra = extra or {} }
  put(tensors, "model", self.model:state())
  if self.ema then
    put(tensors, "ema", self.ema:state())
    facts.ema = self.ema.updates
  end
  if self.opt then
    local state = self.opt:state()
    put(tensors, "first", state.first)
    put(tensors, "second", state.second)
    facts.opt = { steps = state.steps, skipped = state.skipped }
  end
  if self.batches then facts.batches = self.batches:state() end
  return write(self.path, "checkpoint", tensors, facts)
end

-- What in the file doesn't fit what we have; nil if all fits. Nothing is changed.
local function trouble_of(self, tensors, facts)
  local function check(prefix, parameters)
    local trouble = model.mismatch(parameters, take(tensors, prefix))
    return trouble and ("%s %s"):format(prefix, trouble)
  end
  local trouble = check("model", self.model:parameters())
  if not trouble and self.ema then trouble = check("ema", self.model:parameters()) end
  if not trouble and self.opt then
    local state = self.opt:state()
    trouble = check("first", iterate(state.first)) or check("second", iterate(state.second))
  end
  if trouble then return trouble end
  if self.opt and not facts.opt or self.batches and not facts.batches or self.ema and not facts.ema
    or type(facts.random) ~= "table" then
    return "it was saved without an optimiser, average or batches that are here now"
  end
end

local function exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

--- Goes on from the file, if there is one.
---@return boolean|nil loaded true; false where there is no file; nil and a message, with
---  nothing changed, where the file isn't of this run
---@return string|nil message
function Checkpoint:load()
  if not exists(self.path) then return false end
  local tensors, facts = read(self.path, "checkpoint", "model:load and d.load_model read it")
  if not tensors then return nil, facts end
  local trouble = trouble_of(self, tensors, facts)
  if not trouble and self.batches then
    local ok, message = self.batches:load_state(facts.batches)
    if not ok then trouble = message end
  end
  if trouble then return nil, ("%s: %s"):format(self.path, trouble) end
  self.model:load_state(take(tensors, "model"))
  if self.ema then
    self.ema:load_state(take(tensors, "ema"))
    self.ema.updates = facts.ema
  end
  if self.opt then
    self.opt:load_state { first = take(tensors, "first"), second = take(tensors, "second"),
                          steps = facts.opt.steps, skipped = facts.opt.skipped }
  end
  core.set_random_state(facts.random)
  self.extra = facts.extra
  return true
end

return checkpoint
