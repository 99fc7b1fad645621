-- Checks of arguments: tables of options, with rules of type, range and default, and single
-- arguments. A message about an unknown name suggests the nearest known one.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local renamed = require "diffusion.renamed"

local opts = {}

-- ==== declarations =======================================================================

--- The declared sets of options by name: "unet" has those of d.unet.
opts.declared = {}

--- Declares the options of a public function once: rules for opts.check, each with a `text` of
--- one sentence. The help, the definitions for editors and the tables of the guides are made
--- from them. A default that depends on other options is written out as `default_text`. A default
--- that isn't filled in, since the function must know what was given, is `otherwise`. The function
--- reads it from the rule. `as` is the type for editors where the rule's own type says less. An option
--- that nothing here reads, since only another library's config has a use for it, is `kept`.
---@param name string its comment has `---@param options diffusion.NAME_options`
---@param rules table<string, table>
---@return table<string, table> rules
function opts.declare(name, rules)
  opts.declared[name] = rules
  return rules
end

--- A line about each choice that has a name: "sampler ddim" and where it is published.
opts.choices = {}

--- Declares the options of choices that have a name, as in sampler = {"ddim", eta = 1}.
---@param group string the option that takes one: "sampler"
---@param choices table<string, table> each with `source` and, if it has options, `rules`
function opts.declare_choices(group, choices)
  for name, choice in pairs(choices) do
    opts.choices[group .. " " .. name] = choice.source
    opts.declare(group .. " " .. name, choice.rules or {})
  end
end

--- Sets of rules, or parts of a rule, as one table. Later fields replace earlier ones.
---@param ... table
---@return table
function opts.joined(...)
  local out = {}
  for _, rules in ipairs { ... } do
    for key, rule in pairs(rules) do out[key] = rule end
  end
  return out
end

-- ==== names ==============================================================================

--- The nearest of the names, if it is near enough to be meant. It is the word itself, or the shortest name that
--- begins with it.
---@param word string
---@param names string[]
---@return string|nil
function opts.nearest(word, names)
  local shortest
  for _, name in ipairs(names) do
    local begins = (#word >= 3 or #name == #word) and name:sub(1, #word) == word
    if begins and #name < #(shortest or name .. " ") then shortest = name end
  end
  return shortest or core.nearest(word, names)
end

--- The keys of a table as text, sorted.
---@param t table
---@return string[]
function opts.names(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  return keys
end

--- "unknown option 'stpes'; did you mean 'steps'? valid: ...", for any set of names.
---@param what string "option", "schedule", ...
---@param word any as the user wrote it
---@param names string[] the valid names, in the order to show
---@return string
function opts.unknown(what, word, names)
  local near = opts.nearest(tostring(word), names)
  local name = type(word) == "string" and legible.line(word) or kind.shown(word)
  return ("unknown %s '%s'%s valid: %s"):format(what, name,
    near and ("; did you mean '%s'?"):format(near) or ";", #names > 0 and table.concat(names, ", ") or "none")
end

-- ==== rules ==============================================================================

-- An infinite number is valid only if the rule says so.
local function in_range(value, rule)
  if value ~= value or not rule.infinite and value - value ~= 0 then return false end
  return not (rule.min and value < rule.min or rule.max and value > rule.max
    or rule.above and value <= rule.above or rule.below and value >= rule.below)
end

-- Why a string is not a path, or nil. The system's calls end a path at a byte 0.
local function path_fault(text)
  if text == "" then return "a path expected, got an empty string" end
  local at = text:find("\0", 1, true)
  return at and ("a path has no byte 0, but byte %d of this one is"):format(at)
end

-- The names in "integer|tensor" as a set, made once for each such string.
local type_sets = setmetatable({}, { __index = function(sets, types)
  local set = {}
  for name in types:gmatch "[^|]+" do set[name == "path" and "string" or name] = true end
  sets[types] = set
  return set
end })

-- Whether the value has one of the types "a|b|c". A whole number counts as an integer.
local function has_type(value, types)
  local set = type_sets[types]
  return set.any or set[type(value)] or set[kind.of(value)] or false
end

local function range_text(rule)
  local low, high = rule.min or rule.above, rule.max or rule.below
  if not (low or high) then return "" end
  return legible.format(" in %s%s, %s%s", rule.min and "[" or "(", low or "-inf", high or "inf",
    rule.max and "]" or ")")
end

local function expected(rule, value)
  if rule.what then return rule.what end
  local one_of = rule.one_of and "one of " .. table.concat(rule.one_of, ", ")
  if not rule[1] then return one_of end
  local range, endless = range_text(rule), type(value) == "number" and value - value ~= 0
  local finite = range == "" and endless and has_type(value, rule[1]) and "finite " or ""
  return finite .. rule[1]:gsub("|", " or ") .. range .. (one_of and ", or " .. one_of or "")
end

local function is_valid(value, rule)
  if rule.one_of and type(value) == "string" then
    for _, name in ipairs(rule.one_of) do if name == value then return true end end
    return false
  end
  if not has_type(value, rule[1] or "string") then return false end
  return type(value) ~= "number" or in_range(value, rule)
end

-- The sentence about a string that isn't allowed.
local function unknown_value(owner, name, value, rule)
  local old = renamed.values[owner] and renamed.values[owner][name]
  if old and old[value] then return ("'%s' is called '%s' here"):format(value, old[value]) end
  return opts.unknown("value", value, rule.one_of)
end

-- The sentence about an unknown option.
local function unknown_option(owner, key, rules)
  local new = renamed.options[owner] and renamed.options[owner][key]
  return new and ("option '%s' is called '%s' here"):format(key, new) or opts.unknown("option", key, opts.names(rules))
end

-- Raises a sentence about the options of the function `owner`: its argument number `argument`, or
-- part of another option if that is 0.
local function refuse(owner, argument, format, ...)
  local sentence = legible.said(format, ...)
  if argument == 0 then fail.raise("%s: %s", owner, sentence) end
  fail.raise("bad argument #%d to '%s' (%s)", argument, owner, sentence)
end

--- The end of a sentence about a value of a wrong type: how to make one of the right type.
---@param value any
---@param types string "tensor|set"
---@return string
function opts.advice(value, types)
  local own = kind.of(value)
  if types:find "process" and own == "schedule" then return "; d.process{ schedule = ... } makes one" end
  if types:find "model" and own == "string" then return "; d.load_model(path) reads one" end
  if types:find "tensor" and own == "set" then return "; the set's tensor is its x" end
  if types:find "picture" and own == "string" then return "; d.image.load(path) reads one" end
  if types:find "tensor" and own == "table" then return "; d.tensor(list) makes one" end
  return ""
end

local function advice_of(value, rule) return rule.advice and rule.advice(value) or opts.advice(value, rule[1] or "") end

-- An integer as Lua's integers are, however it was written.
local function settled(value, rule) return rule[1] == "integer" and math.tointeger(value) or value end

-- A list whose entries have a rule of their own, as a new list. `entries` is their number, `least`
-- the smallest.
local function list_of(owner, argument, name, list, rule)
  for field in pairs(list) do
    if math.type(field) ~= "integer" or field < 1 or field > #list then
      refuse(owner, argument, "option '%s': a list takes no field '%s'", name, tostring(field))
    end
  end
  local out, each = {}, rule.each
  for i = 1, #list do
    if not is_valid(list[i], each) then
      refuse(owner, argument, "option '%s': entry %d: %s expected, got %s", name, i, expected(each, list[i]),
        kind.shown(list[i]))
    end
    out[i] = settled(list[i], each)
  end
  if rule.entries and #out ~= rule.entries or #out < (rule.least or 0) then
    refuse(owner, argument, "option '%s': %s%d entries expected, got %d", name, rule.entries and "" or "at least ",
      rule.entries or rule.least, #out)
  end
  return out
end

local function checked(owner, argument, name, value, rule)
  if value == nil then
    if rule.required then
      refuse(owner, argument, "option '%s' is missing: %s expected", name, expected(rule))
    end
    local default = rule.default
    return rule.each and type(default) == "table" and table.move(default, 1, #default, 1, {}) or default
  end
  if not is_valid(value, rule) then
    if rule.one_of and type(value) == "string" then
      refuse(owner, argument, "option '%s': %s", name, unknown_value(owner, name, value, rule))
    end
    refuse(owner, argument, "option '%s': %s expected, got %s%s", name, expected(rule, value), kind.shown(value),
      advice_of(value, rule))
  end
  local fault = type(value) == "string" and (rule[1] or ""):find "^path" and path_fault(value)
  if fault then refuse(owner, argument, "option '%s': %s", name, fault) end
  if rule.each and type(value) == "table" then return list_of(owner, argument, name, value, rule) end
  return settled(value, rule)
end

--- Checks a table of options against rules and returns a new table with the defaults in.
--- A rule is `{ types, default=, required=, min=, max=, above=, below=, infinite=, one_of= }`.
--- The types are "integer|tensor" (see kind.of; "any" takes all; "path" is a string that
--- names a file). min and max belong to the range, above and below don't. A number is finite
--- unless `infinite`. one_of lists the strings allowed; `types` may name other types too.
--- A table with a rule `each` for its entries is a list; `entries` is their number, `least` the
--- smallest.
--- `what` says what is expected if the types don't. advice(value) ends the sentence about a
--- value of another type.
---@param name string the function's name, as the user writes it
---@param given table|nil the user's options
---@param rules table<string, table>
---@param argument integer|nil which argument the options are, 1 if not given; 0: part of another option
---@return table
function opts.check(name, given, rules, argument)
  argument = argument or 1
  if given ~= nil and kind.of(given) ~= "table" then
    refuse(name, argument, "a table of options expected, got %s", kind.shown(given))
  end
  for key in pairs(given or {}) do
    if rules[key] == nil then refuse(name, argument, "%s", unknown_option(name, key, rules)) end
  end
  local out = {}
  for key, rule in pairs(rules) do
    out[key] = checked(name, argument, key, given and given[key], rule)
  end
  return out
end

--- Whether a rule of opts.check allows a value.
---@param value any
---@param rule table
---@return boolean
function opts.allows(value, rule)
  if value == nil then return not rule.required end
  return is_valid(value, rule)
end

--- Raises unless a rule allows a value that is not an option: a field that was written, or
--- the result of a user's function.
---@param what string "adamw: the learning rate of step 3"
---@param value any
---@param rule table as in opts.check
---@return any value
function opts.held(what, value, rule)
  if not is_valid(value, rule) then
    fail.raise("%s: %s expected, got %s", what, expected(rule, value), kind.shown(value))
  end
  return value
end

-- ==== single arguments ===================================================================

--- Raises unless a rule allows an argument that is given by its place.
---@param name string the function's name, as the user writes it
---@param argument integer which argument it is
---@param what string the argument's name
---@param value any
---@param rule table as in opts.check
---@return any value
function opts.argument(name, argument, what, value, rule)
  if not is_valid(value, rule) then
    fail.raise("bad argument #%d to '%s' (%s: %s expected, got %s)", argument, name, what, expected(rule, value),
      kind.shown(value))
  end
  return settled(value, rule)
end

--- Raises unless a value is a path. Every path that a user gives is checked here, or is an
--- option of the type "path".
---@param name string the function's name, as the user writes it
---@param path any
---@param argument integer|nil which argument it is, 1 if not given
---@return string path
function opts.path(name, path, argument)
  if type(path) ~= "string" then
    fail.raise("bad argument #%d to '%s' (a path expected, got %s)", argument or 1, name, kind.shown(path))
  end
  local fault = path_fault(path)
  if fault then fail.raise("bad argument #%d to '%s' (%s)", argument or 1, name, fault) end
  return path
end

--- Raises unless a value is a table.
---@param name string the function's name, as the user writes it
---@param argument integer which argument it is
---@param what string "a state, as state() gives it"
---@param value any
---@return table value
function opts.table(name, argument, what, value)
  if type(value) ~= "table" then
    fail.raise("bad argument #%d to '%s' (%s expected, got %s)", argument, name, what, kind.shown(value))
  end
  return value
end

--- Raises unless a value can be called.
---@param where string who will call it
---@param what string its name there
---@param value any
function opts.callable(where, what, value)
  if not kind.callable(value) then fail.raise("%s: %s must be a function, got %s", where, what, kind.shown(value)) end
end

--- Raises unless a model can be called as a denoiser.
---@param where string who will call it
---@param model any
function opts.denoiser(where, model)
  if not kind.callable(model) then
    fail.raise("%s: model must be a denoiser, callable as (xt, t, {class=}), got %s%s", where, kind.shown(model),
      opts.advice(model, "model"))
  end
end

--- Raises unless a value is a process.
---@param name string the function's name, as the user writes it
---@param argument integer which argument it is
---@param process any
---@param order string|nil the function's arguments, "model, process, x0, options"
---@return diffusion.process
function opts.process(name, argument, process, order)
  if kind.of(process) ~= "process" then
    fail.raise("bad argument #%d to '%s' (a process expected, got %s%s%s)", argument, name, kind.shown(process),
      opts.advice(process, "process"), order and ("; its arguments are (%s)"):format(order) or "")
  end
  return process
end

--- The tensor of a set's examples; any other value as it is. Raises for a set that has none.
---@param where string
---@param data any
---@return any
function opts.examples(where, data)
  if kind.of(data) ~= "set" then return data end
  if not data.x then
    fail.raise("%s: the pictures of this set have several sizes or crops; a set with one tensor x expected", where)
  end
  return data.x
end

--- Raises if a tensor holds integers, as the bytes of pictures.
---@param where string
---@param name string the argument's name
---@param x any
---@return any x
function opts.floats(where, name, x)
  local advice = kind.of(x) == "tensor" and kind.float_advice(x) or ""
  if advice ~= "" then fail.raise("%s: %s is of %s; floats expected%s", where, name, x:dtype(), advice) end
  return x
end

return opts
