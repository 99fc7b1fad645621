-- Low-rank adapters of a pipe: those of a file or new ones, on its denoiser and its text encoders, under one name.
local fail = require "diffusion.fail"
local files = require "diffusion.nn.lora_file"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local lora = require "diffusion.nn.lora"
local lora_names = require "diffusion.nn.lora_names"
local model = require "diffusion.nn.model"
local object = require "diffusion.object"
local opts = require "diffusion.opts"

local adapters = {}

local private = object.private -- {pipe = the private state of a pipe, name, weight, loras = by field}

local FIELDS = { "unet", "text", "text2" }

-- The fields of a pipe by the parts that a file of adapters names.
local PARTS = { unet = "unet", text_encoder = "text", text_encoder_2 = "text2" }
local PART_OF = { unet = "unet", text = "text_encoder", text2 = "text_encoder_2" }

--- Adapters of a pipe under one name.
---@class diffusion.pipe_lora
---@field name string
---@field weight number|table factor of their effect; can be set, also as {unet =, text =, text2 =}
---@field merged boolean whether they are in the networks' weights
---@field unet diffusion.lora|nil those of the denoiser
---@field text diffusion.lora|nil those of the text encoder
---@field text2 diffusion.lora|nil those of the second text encoder
local Adapters = {}

-- ==== acting ============================================================================

-- Calls a function with the adapters of each network, as far as they are still there.
local function each(own, fn)
  for _, field in ipairs(FIELDS) do
    local one = own.loras[field]
    if one and not lora.is_removed(one) then fn(one, field) end
  end
end

local weight_rule = { "number|table", as = "number|table<string, number>", default = 1,
  text = "factor of their effect, or {unet =, text =, text2 =}" }

-- Checks a table by network.
local function check_each(what, given, known, one)
  for field, value in pairs(given) do
    local is_known = false
    for _, name in ipairs(known) do is_known = is_known or field == name end
    if not is_known then fail.raise("%s: %s", what, opts.unknown("network", field, known)) end
    opts.held(("%s of %s"):format(what, field), value, one)
  end
end

local function check_weight(weight)
  opts.held("lora: weight", weight, weight_rule)
  if type(weight) == "table" then check_each("lora: weight", weight, FIELDS, { "number" }) end
  return weight
end

local function set_weight(own, weight)
  check_weight(weight)
  each(own, function(one, field)
    one.scale = type(weight) == "number" and weight or weight[field] or 1
  end)
  own.weight = weight
end

local function is_merged(own)
  local merged = false
  each(own, function(one) merged = merged or one.merged end)
  return merged
end

-- The private state of adapters, of which some are on their networks.
local function check_there(self, method)
  local own, any = private[self], false
  each(own, function() any = true end)
  if not any then fail.raise("%s: these adapters were removed from their networks", method) end
  return own
end

-- A method that does the same to the adapters of each network.
local function all(name)
  return function(self)
    each(check_there(self, name), function(one) one[name](one) end)
    return self
  end
end

--- Adds the adapters to the weights of their networks, as lora:merge does.
---@return diffusion.pipe_lora self
function Adapters:merge() return all "merge"(self) end

--- Takes merged adapters out of the weights, which get back the bits that they had.
---@return diffusion.pipe_lora self
function Adapters:unmerge() return all "unmerge"(self) end

--- Lets the adapters act again after disable.
---@return diffusion.pipe_lora self
function Adapters:enable() return all "enable"(self) end

--- The networks compute without the adapters. Their values stay.
---@return diffusion.pipe_lora self
function Adapters:disable() return all "disable"(self) end

--- Removes the adapters from the networks. Merged ones stay in the weights for good.
function Adapters:remove()
  local own = private[self]
  each(own, function(one) one:remove() end)
  for i, other in ipairs(own.pipe.loras or {}) do
    if other == self then table.remove(own.pipe.loras, i) end
  end
end

-- ==== files =============================================================================

local save_rules = opts.declare("pipe_lora_save", {
  form = { one_of = { "diffusers", "kohya" }, default = "diffusers",
    text = "names in the file: those of diffusers and peft, or of kohya's scripts" },
  weights = { "table", as = "table<string, diffusion.ema>", default_text = "the adapters'",
    text = "averages whose values are saved, {unet =, text =, text2 =}" },
})

-- The names of a network's adapters in a file.
local function prefix_of(own, field, form)
  if field == "unet" then return form == "kohya" and "lora_unet" or lora_names.part(own.pipe.unet) end
  if form == "diffusers" then return PART_OF[field] end
  return field == "text2" and "lora_te2" or own.pipe.joins and "lora_te1" or "lora_te"
end

--- Writes the adapters of all networks as one file, which diffusers reads too. The weight is not saved.
---@param path string a file, or a folder, which gets pytorch_lora_weights.safetensors
---@param options diffusion.pipe_lora_save_options?
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function Adapters:save(path, options)
  local o, own, list = opts.check("save", options, save_rules, 2), check_there(self, "save"), {}
  opts.path("save", path)
  check_each("save: weights", o.weights or {}, opts.names(own.loras), { "lora|ema" })
  each(own, function(one, field)
    list[#list + 1] = { prefix_of(own, field, o.form), one, o.weights and o.weights[field] }
  end)
  return lora.write(path, o.form, list)
end

-- ==== its description ===================================================================

local function tostring_adapters(self)
  local own = private[self]
  local lines = { ("adapters '%s'%s"):format(own.name, is_merged(own) and ", merged" or "") }
  each(own, function(one, field)
    local text = tostring(one):match "^lora of ([^\n]*)" or ""
    lines[#lines + 1] = legible.format("  %s: %s, weight %g", field, text, one.scale)
  end)
  return table.concat(lines, "\n")
end

local class = object.class("pipe_lora", Adapters, {
  get = { "name", "weight", merged = is_merged, unet = function(own) return own.loras.unet end,
    text = function(own) return own.loras.text end, text2 = function(own) return own.loras.text2 end },
  set = { weight = set_weight }, __tostring = tostring_adapters,
})

-- ==== making them =======================================================================

local function find(own, name)
  for _, one in ipairs(own.loras or {}) do
    if private[one].name == name then return one end
  end
end

local function check_name(where, own, name)
  if find(own, name) then fail.raise("%s: the pipe has adapters of the name '%s'; name = gives others", where, name) end
  return name
end

local function network(where, own, field)
  local net = own[field]
  if model.is_model(net) then return net end
  fail.raise("%s: adapters are for models, but the pipe's %s is a %s", where, field, kind.of(net))
end

-- Calls make(loras, ...), which fills in the adapters by network. If it fails, the networks are as before.
local function all_or_none(make, ...)
  local loras = {}
  local fine, made, message = pcall(make, loras, ...)
  if fine and made then return loras end
  for _, one in pairs(loras) do lora.undo(one) end
  if fine then return nil, message end
  error(made, 0)
end

local function new(own, name, loras, weight)
  local self = object.new(class, { pipe = own, name = name, weight = 1, loras = loras })
  private[self].weight = weight
  set_weight(private[self], weight)
  own.loras = own.loras or {}
  own.loras[#own.loras + 1] = self
  return self
end

local load_rules = opts.declare("pipe_load_lora", {
  weight = weight_rule,
  name = { "string", default_text = "that of the file", text = "a name for pipe:lora" },
  parts = { "table", each = { one_of = FIELDS }, as = '("unet"|"text"|"text2")[]', default_text = "all of the file",
    text = "the networks whose adapters are taken" },
})

-- The fields of a pipe for which a file has adapters, with their parts there.
local function wanted(own, path, given)
  local found, bare = files.parts(path)
  if not found then return nil, bare end
  local out, chosen = {}, {}
  if bare and given and #given == 1 then found = { PART_OF[given[1]] } end -- as peft's files are
  for _, field in ipairs(given or FIELDS) do chosen[field] = true end
  for _, part in ipairs(found) do
    local field = PARTS[part]
    if not (field and own[field]) then
      if not given then
        return legible.refused('%s: it has adapters of a %s, which this pipe doesn\'t have; parts = {"unet"} takes '
          .. "others alone", path, part)
      end
    elseif chosen[field] then out[field] = part end
  end
  if not next(out) then return legible.refused("%s: it has no adapters of these parts", path) end
  return out
end

local function stem(path)
  return (path:gsub("/+$", ""):match "[^/]*$":gsub("%.[^.]*$", ""))
end

-- Adds the adapters of a file to networks, by the parts of the file.
local function from_file(loras, where, own, path, parts)
  for _, field in ipairs(FIELDS) do
    if parts[field] then
      local message
      loras[field], message = lora.lora(network(where, own, field), { load = path, part = parts[field] })
      if not loras[field] then return nil, message end
    end
  end
  return true
end

--- Loads adapters of a file.
---@param own table the private state of a pipe
---@param path string
---@param options table|nil
---@return diffusion.pipe_lora|nil
---@return string|nil message
function adapters.load(own, path, options)
  local where = "pipe:load_lora"
  opts.path(where, path)
  local o = opts.check(where, options, load_rules, 2)
  check_weight(o.weight)
  local name = check_name(where, own, o.name or stem(path))
  local fields, message = wanted(own, path, o.parts)
  if not fields then return nil, message end
  local loras, why = all_or_none(from_file, where, own, path, fields)
  if not loras then return nil, why end
  return new(own, name, loras, o.weight)
end

local ATTENTION = { unet = { "attn%d%.to_[qkv]$", "attn%d%.to_out%.0$" },
  text = { "self_attn%.[qkv]_proj$", "self_attn%.out_proj$" } }

local add_rules = opts.declare("pipe_add_lora", opts.joined(lora.rules, {
  name = { "string", default = "lora", text = "a name for pipe:lora" },
  text = { "boolean", default = false, text = "adapters of the text encoders too" },
  on = { "string|table", as = "string|string[]", default_text = "q, k, v and out of attention",
    text = "Lua pattern of the paths of the denoiser's layers, or a list of them; \".\" is all" },
  text_on = { "string|table", as = "string|string[]", default_text = "q, k, v and out of attention",
    text = "the same for the text encoders" },
}))

-- Adds new adapters to networks.
local function drawn(loras, where, own, o)
  for _, field in ipairs(o.text and FIELDS or { "unet" }) do
    if own[field] then
      local on = o.on or ATTENTION.unet
      if field ~= "unet" then on = o.text_on or ATTENTION.text end
      loras[field] = lora.lora(network(where, own, field), { rank = o.rank, alpha = o.alpha, dropout = o.dropout,
        init = o.init, seed = o.seed, on = on })
    end
  end
  return true
end

--- Makes adapters to be trained.
---@param own table the private state of a pipe
---@param options table|nil
---@return diffusion.pipe_lora
function adapters.add(own, options)
  local where = "pipe:add_lora"
  local o = opts.check(where, options, add_rules)
  check_name(where, own, o.name)
  return new(own, o.name, all_or_none(drawn, where, own, o), 1)
end

--- The adapters of a name.
---@param own table the private state of a pipe
---@param name string
---@return diffusion.pipe_lora
function adapters.named(own, name)
  local one = find(own, name)
  if one then return one end
  local known = {}
  for i, other in ipairs(own.loras or {}) do known[i] = private[other].name end
  fail.raise("pipe:lora: %s", opts.unknown("adapters", name, known))
end

return adapters
