-- Checkpoints: all that is needed to resume a training, bit for bit.
local container = require "diffusion.file.container"
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local averages = require "diffusion.ema"
local model = require "diffusion.nn.model"
local trained = require "diffusion.nn.trained"
local optim = require "diffusion.optim"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

local checkpoint = {}

-- Puts {a = x} into tensors as "prefix.a".
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

--- A training and the file that it is saved in.
---@class diffusion.checkpoint
---@field path string can be written
---@field extra table|nil after load: the value that was given to save
local Checkpoint = {}

local private = object.private -- {averages, extra}, and the options

local function tostring_checkpoint(self)
  local own, parts = private[self], {}
  for _, name in ipairs { "model", "opt", "ema", "batches" } do
    if own[name] then parts[#parts + 1] = name end
  end
  return ("checkpoint %s of %s"):format(own.path, table.concat(parts, ", "))
end

-- The ranks of a training over ranks.
local function ranks_of(own) return own.opt and own.opt.over or own.batches and own.batches.over end

--- Saves a training: parameters, moments, averages, random counters, the place in the data, and
--- `extra`. The file is written whole or not at all. Over ranks, rank 0 writes it.
---@param extra table? equal in .extra after load: numbers, strings of any bytes, booleans, and tables
---  of these, nested up to 60 deep. A table that occurs twice stays one. Anything else, or a table that
---  contains itself, is an error, and nothing is written
---@return true|nil done nil with a message if it fails
---@return string|nil message
function Checkpoint:save(extra)
  if extra ~= nil and type(extra) ~= "table" then
    fail.raise("bad argument #1 to 'save' (a table of what to remember expected, got %s)", kind.shown(extra))
  end
  local own, tensors = private[self], {}
  local ranks = ranks_of(own)
  if ranks and ranks.rank > 0 then
    if own.opt then own.opt:state() end -- all ranks gather sharded moments
    return true
  end
  local facts = { random = deal.random_state(), extra = extra or {} }
  put(tensors, "model", own.model:state())
  facts.ema, facts.trained = {}, trained.of(own.model)
  for i, one in ipairs(own.averages) do
    put(tensors, one.prefix, one.ema:state())
    facts.ema[i] = one.ema.updates
  end
  if own.opt then
    local state = own.opt:state()
    put(tensors, "first", state.first)
    put(tensors, "second", state.second)
    facts.opt = { steps = state.steps, skipped = state.skipped, lr = state.lr }
  end
  if own.batches then facts.batches = own.batches:state() end
  return container.write(own.path, "checkpoint", tensors, facts)
end

local function is_count(value, most)
  return math.type(value) == "integer" and value >= 0 and value <= (most or 1 << 53)
end

-- Whether a list holds n numbers of updates.
local function are_counts(list, n)
  if n > 0 and type(list) ~= "table" then return false end
  for i = 1, n do
    if not is_count(list[i]) then return false end
  end
  return true
end

local function is_random_state(list)
  local own = core.random_state()
  if type(list) ~= "table" or #list ~= #own or math.type(list[1]) ~= "integer" then return false end
  for i = 2, #own do
    if not is_count(list[i], 0xFFFFFFFF) then return false end
  end
  return true
end

-- The first number that is needed and missing in the file, or nil.
local function missing(own, facts)
  local opt = facts.opt
  if not are_counts(facts.ema, #own.averages) then return "the average's updates" end
  if own.opt and not (type(opt) == "table" and is_count(opt.steps) and is_count(opt.skipped)) then
    return "the optimiser's steps"
  end
  if own.batches and type(facts.batches) ~= "table" then return "the batches' steps" end
  if not is_random_state(facts.random) then return "the random counters" end
end

local function optimiser_state(tensors, facts)
  local saved = facts.opt
  return { first = take(tensors, "first"), second = take(tensors, "second"), steps = saved.steps,
           skipped = saved.skipped, lr = saved.lr }
end

-- The reason why the file doesn't fit, or nil. Nothing is changed.
local function trouble_of(own, tensors, facts)
  local function check(prefix, parameters)
    local trouble = model.mismatch(parameters, take(tensors, prefix))
    return trouble and ("%s %s"):format(prefix, trouble)
  end
  local trouble = check("model", own.model:parameters())
  for _, one in ipairs(own.averages) do
    local why = not trouble and averages.mismatch(one.ema, take(tensors, one.prefix))
    trouble = trouble or why and ("%s %s"):format(one.prefix, why)
  end
  if trouble then return trouble end
  local lost = missing(own, facts)
  if lost then return ("%s are missing"):format(lost) end
  return own.opt and optim.mismatch(own.opt, optimiser_state(tensors, facts)) or nil
end

-- Returns the tensors and facts of the file, false without a file, or nil and a message. Nothing is changed.
local function read(own)
  if core.place(own.path) == "new" then return false end -- a file that can't be read is an error
  local tensors, facts = container.read(own.path, "checkpoint")
  if not tensors then return nil, facts end
  local trouble = trouble_of(own, tensors, facts)
  if trouble then return legible.refused("%s: %s", own.path, trouble) end
  return tensors, facts
end

local function found(own, tensors, facts)
  if not tensors then return facts and ("a fault (%s)"):format(facts) or "no file" end
  return ("step %s"):format(own.opt and facts.opt.steps or facts.batches.step)
end

-- The ranks must find the same: others would begin again, or elsewhere.
local function agree(own, tensors, facts)
  local ranks = ranks_of(own)
  if not ranks then return tensors, facts end
  local all = ranks.gather_text(found(own, tensors, facts))
  for r = 2, #all do
    if all[r] ~= all[1] then
      return legible.refused("%s: rank 0 finds %s, but rank %d finds %s; all ranks must see one file", own.path, all[1],
        r - 1, all[r])
    end
  end
  return tensors, facts
end

-- Reads the file into the parts of the training.
local function fill(own, tensors, facts)
  if own.batches then
    local ok, message = own.batches:load_state(facts.batches)
    if not ok then return legible.refused("%s: %s", own.path, message) end
  end
  trained.set(own.model, facts.trained) -- older files, and damaged ones, say nothing
  own.model:load_state(take(tensors, "model"))
  for i, one in ipairs(own.averages) do
    one.ema:load_state(take(tensors, one.prefix))
    one.ema.updates = facts.ema[i]
  end
  if own.opt then own.opt:load_state(optimiser_state(tensors, facts)) end
  core.set_random_state(facts.random)
  own.extra = type(facts.extra) == "table" and facts.extra or {}
  return true
end

--- Resumes from the file, if there is one. Over ranks all of them read it. Their number may be another
--- than that of the ranks that saved it.
---@return boolean|nil loaded true; false if there is no file; nil and a message, with nothing
---  changed, if the file can't be read or is from another training
---@return string|nil message
function Checkpoint:load()
  local own = private[self]
  local tensors, facts = agree(own, read(own))
  if not tensors then return tensors, facts end
  return fill(own, tensors, facts)
end

-- ==== making one =============================================================================

local rules = opts.declare("checkpoint", {
  path = { "path", required = true, text = "the file" },
  model = { "model|lora", required = true, what = "model", as = "diffusion.model|diffusion.lora",
    text = "the network, or its adapters" },
  opt = { "adamw", text = "the optimiser" },
  ema = { "ema|table", as = "diffusion.ema|diffusion.ema[]", text = "averages that are saved" },
  batches = { "any", as = "diffusion.batches", text = "the batches, whose place is saved" },
})

local class = object.class("checkpoint", Checkpoint, {
  get = { "path", "model", "opt", "ema", "batches", "extra" },
  set = { path = function(own, path) own.path = opts.held("checkpoint: path", path, rules.path) end },
  __tostring = tostring_checkpoint,
})

-- The averages, each with its prefix: "ema", "ema2", ...
local function averages_of(given)
  local out = {}
  for i, ema in ipairs(kind.of(given) == "ema" and { given } or given or {}) do
    if kind.of(ema) ~= "ema" then fail.raise("checkpoint: ema: entry %d is %s, not an ema", i, kind.shown(ema)) end
    out[i] = { ema = ema, prefix = i == 1 and "ema" or "ema" .. i }
  end
  return out
end

--- A training and the file that it is saved in.
---@param options diffusion.checkpoint_options
---@return diffusion.checkpoint
function checkpoint.checkpoint(options)
  local o = opts.check("checkpoint", options, rules)
  o.averages = averages_of(o.ema)
  return object.new(class, o)
end

return checkpoint
