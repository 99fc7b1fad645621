-- Networks under the names, layouts and options of other libraries. A family's table `peers` has an
-- entry for each of them:
--
--   class    the name of their class
--   names    pairs of ours and theirs: runs of whole parts of a path, applied both ways, the longest
--            first. A part "*" stands for any one part.
--   older    pairs of their older and their present names, applied before `names`
--   ignored  runs of parts: keys that end in one are passed over
--   others   runs of parts. Keys that begin with one are those of other networks in the file. They are
--            passed over if the network doesn't have them.
--   also     other classes of the family. Each has the options that it stands for.
--   library  "transformers", if the class isn't one of diffusers
--   ours     options that their config doesn't have
--   options  function: their config -> our options and a list of unknown keys, if they differ
--   config   function: our options -> their config, if they differ
--
-- Convolutions are {K, R, S, C} here and {K, C, R, S} there: a permuted window, not a copy.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"

local peers = {}

-- ==== names ==============================================================================

local function parts_of(name)
  local parts = {}
  for part in name:gmatch "[^.]+" do parts[#parts + 1] = part end
  return parts
end

-- Rules by the first part of `from`; "*" has those for any other first part.
local function by_first(rules)
  local at = { ["*"] = {} }
  for _, rule in ipairs(rules) do at[rule.from[1]] = at[rule.from[1]] or {} end
  for first, list in pairs(at) do
    for _, rule in ipairs(rules) do
      if rule.from[1] == first or rule.from[1] == "*" then list[#list + 1] = rule end
    end
  end
  return at
end

-- Rules {from, to}, each a list of parts, the longest `from` first among those with one first part. Without names there
-- are no rules.
local function compiled(pairs_of_names, from, to)
  if not pairs_of_names or #pairs_of_names == 0 then return nil end
  local rules = {}
  for i, pair in ipairs(pairs_of_names) do
    rules[i] = { from = parts_of(pair[from]), to = parts_of(pair[to]), place = i }
  end
  table.sort(rules, function(a, b)
    if #a.from ~= #b.from then return #a.from > #b.from end
    return a.place < b.place
  end)
  return by_first(rules)
end

local function runs_of(list)
  local runs = {}
  for i, name in ipairs(list or {}) do runs[i] = parts_of(name) end
  return runs
end

local made = setmetatable({}, { __mode = "k" }) -- the rules of an entry

local function rules_of(entry)
  if not made[entry] then
    made[entry] = { out = compiled(entry.names, 1, 2), back = compiled(entry.names, 2, 1),
      older = compiled(entry.older, 1, 2), ignored = runs_of(entry.ignored), others = runs_of(entry.others) }
  end
  return made[entry]
end

-- The parts that "*" stands for if a run begins at place i, or nil.
local function matched(parts, i, run)
  for k, part in ipairs(run) do
    local own = parts[i + k - 1]
    if part ~= own and not (part == "*" and own) then return nil end
  end
  local found = {}
  for k, part in ipairs(run) do
    if part == "*" then found[#found + 1] = parts[i + k - 1] end
  end
  return found
end

local function rule_at(parts, i, rules)
  for _, rule in ipairs(rules[parts[i]] or rules["*"]) do
    local found = matched(parts, i, rule.from)
    if found then return rule, found end
  end
end

local function renamed(name, rules)
  if not rules then return name end
  local parts, out, i = parts_of(name), {}, 1
  while i <= #parts do
    local rule, found = rule_at(parts, i, rules)
    local star = 0
    for _, part in ipairs(rule and rule.to or { parts[i] }) do
      if rule and part == "*" then
        star = star + 1
        part = found[star]
      end
      out[#out + 1] = part
    end
    i = i + (rule and #rule.from or 1)
  end
  return table.concat(out, ".")
end

--- Their name of one of our parameters, or of a layer.
---@param entry table the family's entry for the other library
---@param name string
---@return string
function peers.theirs(entry, name) return renamed(name, rules_of(entry).out) end

--- Our name of one of their keys, present or older.
---@param entry table
---@param key string
---@return string
function peers.ours(entry, key)
  local rules = rules_of(entry)
  return renamed(renamed(key, rules.older), rules.back)
end

local function is_ignored(entry, key)
  local parts = parts_of(key)
  for _, run in ipairs(rules_of(entry).ignored) do
    if #parts >= #run and matched(parts, #parts - #run + 1, run) then return true end
  end
  return false
end

local function is_other(entry, key)
  local parts = parts_of(key)
  for _, run in ipairs(rules_of(entry).others) do
    if matched(parts, 1, run) then return true end
  end
  return false
end

-- ==== classes ============================================================================

--- The options that another library's class stands for, nil if it isn't one of the family.
---@param entry table
---@param class string
---@return table|nil
function peers.implied(entry, class)
  return entry.class == class and {} or entry.also and entry.also[class] or nil
end

local function agree(options, implied)
  for name, value in pairs(implied) do if options[name] ~= value then return false end end
  return true
end

--- The class of a network of the family.
---@param entry table
---@param options table checked options
---@return string
function peers.class(entry, options)
  for class, implied in pairs(entry.also or {}) do
    if agree(options, implied) then return class end
  end
  return entry.class
end

-- ==== layouts ============================================================================

local function same(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if a[i] ~= b[i] then return false end end
  return true
end

local function without_ones(shape)
  local out = {}
  for _, size in ipairs(shape) do if size ~= 1 then out[#out + 1] = size end end
  return out
end

--- The shape of a tensor there that has this shape here.
---@param shape integer[]
---@return integer[]
function peers.shape(shape)
  if #shape ~= 4 then return shape end
  return { shape[1], shape[4], shape[2], shape[3] }
end

--- A tensor of theirs in our layout, as a window, or nil if it can't be one of our shape.
---@param x diffusion.tensor
---@param shape integer[] ours
---@return diffusion.tensor|nil
function peers.taken(x, shape)
  local own = x:shape()
  if #shape == 4 and #own == 4 and same(own, peers.shape(shape)) then return x:permute(1, 3, 4, 2) end
  if same(own, shape) and #shape ~= 4 then return x end
  if not same(without_ones(own), without_ones(peers.shape(shape))) then return nil end
  if #shape ~= 4 then return x:view(shape) end
  return x:view(peers.shape(shape)):permute(1, 3, 4, 2)
end

--- A tensor of ours in their layout, as a window.
---@param x diffusion.tensor
---@return diffusion.tensor
function peers.given(x) return x:dim() == 4 and x:permute(1, 4, 2, 3) or x end

-- ==== states =============================================================================

local FEW = 3 -- names in a message

local function listed(names)
  table.sort(names)
  local shown = {}
  for i = 1, math.min(FEW, #names) do shown[i] = "'" .. legible.line(names[i]) .. "'" end
  return table.concat(shown, ", ") .. (#names > FEW and ", ..." or "")
end

local function counted(n) return n == 1 and "1 tensor is" or ("%d tensors are"):format(n) end

-- Their keys by our names, and the keys of a name that another key has already.
local function by_our_names(entry, tensors)
  local keys, found, twice = {}, {}, {}
  for key in pairs(tensors) do if not is_ignored(entry, key) then keys[#keys + 1] = key end end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local name = peers.ours(entry, key)
    if found[name] then twice[#twice + 1] = key else found[name] = key end
  end
  return found, twice
end

local function mismatch(entry, missing, unexpected)
  local said = {}
  if #missing > 0 then said[1] = ("%s missing (%s)"):format(counted(#missing), listed(missing)) end
  if #unexpected > 0 then
    said[#said + 1] = ("%s unexpected (%s)"):format(counted(#unexpected), listed(unexpected))
  end
  return legible.refused("weights of %s: %s", entry.class, table.concat(said, ", "))
end

local function fitted(entry, shape, key, x)
  local own = core.is_tensor(x) and peers.taken(x, shape)
  if own then return own end
  if arrays.is_unread(x) then return legible.refused("weights of %s: %s", entry.class, tostring(x)) end
  return legible.refused("weights of %s: '%s' is %s, but its config makes it [%s]", entry.class, key,
    core.is_tensor(x) and kind.shape_text(x) or kind.shown(x), table.concat(peers.shape(shape), ","))
end

--- Tensors of another library's file by our names and in our layout: windows, no copies.
---@param entry table the family's entry for the library
---@param parameters table[] the network's, a list of {name, shape}
---@param tensors table<string, diffusion.tensor> by their keys
---@return table<string, diffusion.tensor>|nil state nil with a message if they aren't exactly those
---@return string|nil message
function peers.state(entry, parameters, tensors)
  local found, unexpected = by_our_names(entry, tensors)
  local missing, state = {}, {}
  for _, p in ipairs(parameters) do
    local name, shape = p[1], p[2]
    local key = found[name]
    if not key then missing[#missing + 1] = peers.theirs(entry, name)
    else
      local x, message = fitted(entry, shape, key, tensors[key])
      if not x then return nil, message end
      state[name] = x
    end
    found[name] = nil
  end
  for _, key in pairs(found) do
    if not is_other(entry, key) then unexpected[#unexpected + 1] = key end
  end
  if #missing > 0 or #unexpected > 0 then return mismatch(entry, missing, unexpected) end
  return state
end

--- Our tensors by their keys and in their layout: windows, no copies.
---@param entry table
---@param state table<string, diffusion.tensor> by our names
---@return table<string, diffusion.tensor>
function peers.saved(entry, state)
  local out = {}
  for name, x in pairs(state) do out[peers.theirs(entry, name)] = peers.given(x) end
  return out
end

-- ==== options ============================================================================

local function has_type(rule, name) return ("|" .. (rule[1] or "") .. "|"):find("|" .. name .. "|", 1, true) ~= nil end

-- One value of a config. null is false for options that may be false, else it is no value.
local function option_of(rule, value)
  if value ~= json.null then return value end
  if has_type(rule, "boolean") and rule.default ~= nil and type(rule.default) ~= "boolean" then return false end
  return nil
end

--- A family's options from another library's config, if both have the same names.
---@param known table the family
---@param entry table
---@param config table<string, any> without bookkeeping
---@return table options
---@return string[] unknown keys that the class doesn't have
function peers.options(known, entry, config)
  if entry.options then return entry.options(config) end
  local hidden, out, unknown = {}, {}, {}
  for _, name in ipairs(entry.ours or {}) do hidden[name] = true end
  for key, value in pairs(config) do
    local rule = not hidden[key] and known.options[key]
    if rule then out[key] = option_of(rule, value) else unknown[#unknown + 1] = tostring(key) end
  end
  table.sort(unknown)
  return out, unknown
end

--- The other library's config for options of a family, as peers.options reads it.
---@param known table the family
---@param entry table
---@param options table checked options
---@return table<string, any> config
function peers.config(known, entry, options)
  if entry.config then return entry.config(options) end
  local out = {}
  for name, rule in pairs(known.options) do
    local value = options[name]
    local none = value == nil or value == false and type(rule.default) ~= "boolean"
    if none then value = json.null end
    out[name] = value
  end
  for _, name in ipairs(entry.ours or {}) do out[name] = nil end
  return out
end

-- ==== models =============================================================================

--- A model of a family with another library's tensors.
---@param known table the family
---@param options table? its options
---@param tensors table<string, diffusion.tensor> by the library's keys
---@param o table? {frozen = true: windows stay as they are, entry = that of the library: diffusers}
---@return diffusion.model|nil model nil with a message if the tensors aren't exactly the network's
---@return string|nil message
function peers.model(known, options, tensors, o)
  o = o or {}
  local entry, n = o.entry or known.peers.diffusers, 0
  for _ in pairs(tensors) do n = n + 1 end
  local function find(parameters) return peers.state(entry, parameters, tensors) end
  return family.model(known, options, { find = find, tensors = n }, o.frozen)
end

return peers
