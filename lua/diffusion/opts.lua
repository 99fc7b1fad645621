-- The one validator of option tables: types, ranges, defaults, and unknown names answered
-- with the nearest known one. Its errors carry the position of the user's line, however
-- many of the library's own functions lie between.
local legible = require "diffusion.legible"

local opts = {}

local home = debug.getinfo(1, "S").source:match "^(.*[/\\])" or "@"

-- The level, as `error` counts it in the function that calls this one, of the first frame
-- that is a Lua function outside the library; 0, no position, where there is none.
local function users_level()
  local level = 3
  while true do
    local info = debug.getinfo(level, "S")
    if not info then return 0 end
    if info.what ~= "C" and info.source:sub(1, #home) ~= home then return level - 1 end
    level = level + 1
  end
end

--- Raises a sentence at the user's line. Arguments are those of string.format; foreign
--- names among them are made printable.
---@param format string
function opts.fail(format, ...)
  error((legible.said(format, ...):gsub("%-nan", "nan")), users_level())
end

local function settle(fine, ...)
  if fine then return ... end
  local message = ...
  -- the number and the name are those of the core's function, not of the one that the user called
  if type(message) == "string" then message = message:match "^bad argument #%-?%d+ to '[^']*' %((.*)%)$" or message end
  local placed = type(message) ~= "string" or message:find "^[^\n]-:%d+: "
  if type(message) == "string" then message = legible.printable(message) end
  error(message, placed and 0 or users_level())
end

--- Calls a function of the core. Its sentence is raised at the user's line, not at that of
--- the library's file which made the call.
---@param fn any
---@param ... any its arguments
---@return any ...
function opts.relay(fn, ...) return settle(pcall(fn, ...)) end

--- Is it what Lua or the core raises where memory is short? That is nobody's answer to a
--- question, nor a file's fault.
---@param fault any
---@return boolean
function opts.is_memory(fault) return type(fault) == "string" and fault:find("not enough memory", 1, true) ~= nil end

local function unless_memory(fine, ...)
  if not fine and opts.is_memory((...)) then error((...), 0) end
  return fine, ...
end

--- pcall, but for want of memory, which is raised.
---@param fn any
---@param ... any its arguments
---@return boolean fine
---@return any ... as pcall's
function opts.caught(fn, ...) return unless_memory(pcall(fn, ...)) end

local function excused(fine, ...)
  if fine then return ... end
  return nil, (legible.printable((...)):gsub("^[^\n]-:%d+: ", "", 1))
end

--- Calls a function on what a file says. What it refuses is nil and a message: the user's
--- line is not at fault.
---@param fn any
---@return any ... what fn returns, or nil and its message
function opts.try(fn, ...) return excused(opts.caught(fn, ...)) end

--- What a value is to the library: "integer", "number", "string", "tensor", "process", ...
---@param value any
---@return string kind the metatable's name without "diffusion.", or Lua's type
function opts.kind(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and type(value) ~= "string" and rawget(meta, "__name")
  if type(name) == "string" then return (name:gsub("^diffusion%.", "")) end
  return math.tointeger(value) and math.type(value) and "integer" or type(value)
end

--- A tensor's shape as messages show it: "[8,28,28,1]".
---@param x any
---@return string
function opts.shape_text(x) return "[" .. table.concat(x:shape(), ",") .. "]" end

-- Optimal string alignment: insertions, deletions, changes, swaps of neighbours.
local function distance(a, b)
  local before, row = {}, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local nextrow = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(row[j] + 1, nextrow[j - 1] + 1, row[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      nextrow[j] = best
    end
    before, row = row, nextrow
  end
  return row[#b]
end

--- The nearest of the names, if it is near enough to be what was meant.
---@param word string
---@param names string[]
---@return string|nil
function opts.nearest(word, names)
  local best, least = nil, math.max(1, #word // 3) + 1
  for _, name in ipairs(names) do
    local apart = math.abs(#word - #name) -- at least as many letters are added or left out
    local n = apart < least and distance(word, name) or apart
    if n < least then best, least = name, n end
  end
  return best
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  return keys
end

--- "(unknown option 'stpes'; did you mean 'steps'? valid: ...)", for any set of names.
---@param what string "option", "schedule", ...
---@param word any what the user wrote
---@param names string[] what exists, in the order to show
---@return string
function opts.unknown(what, word, names)
  local near = opts.nearest(tostring(word), names)
  local name = type(word) == "string" and legible.line(word) or opts.shown(word)
  return ("unknown %s '%s'%s valid: %s"):format(what, name,
    near and ("; did you mean '%s'?"):format(near) or ";", #names > 0 and table.concat(names, ", ") or "none")
end

local function shown(value)
  if value ~= value then return "nan" end
  if type(value) == "string" then return ("'%s'"):format(legible.line(value)) end
  if type(value) == "number" or type(value) == "boolean" then return legible.text(value) end
  return opts.kind(value)
end

-- inf is a number of few rules: those that say so.
local function in_range(value, rule)
  if value ~= value or not rule.infinite and value - value ~= 0 then return false end
  return not (rule.min and value < rule.min or rule.max and value > rule.max
    or rule.above and value <= rule.above or rule.below and value >= rule.below)
end

-- What keeps a string from being a path; nil: nothing. The system's calls end it at a byte 0.
local function path_fault(text)
  local at = text:find("\0", 1, true)
  return at and ("a path has no byte 0, but byte %d of this one is"):format(at)
end

-- Does the value have one of the types "a|b|c"? A number that is whole counts as integer.
local function has_type(value, types)
  local kind = opts.kind(value)
  for name in types:gmatch "[^|]+" do
    if name == "any" or name == kind or name == type(value) or name == "path" and kind == "string" then return true end
  end
  return false
end

local function range_text(rule)
  local low, high = rule.min or rule.above, rule.max or rule.below
  if not (low or high) then return "" end
  return legible.format(" in %s%s, %s%s", rule.min and "[" or "(", low or "-inf", high or "inf",
    rule.max and "]" or ")")
end

local function expected(rule, value)
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

local function checked(where, name, value, rule)
  if value == nil then
    if rule.required then
      opts.fail("%s (option '%s' is missing: %s expected)", where, name, expected(rule))
    end
    return rule.default
  end
  if not is_valid(value, rule) then
    if rule.one_of and type(value) == "string" then
      opts.fail("%s (option '%s': %s)", where, name, opts.unknown("value", value, rule.one_of))
    end
    opts.fail("%s (option '%s': %s expected, got %s)", where, name, expected(rule, value), shown(value))
  end
  local fault = rule[1] == "path" and path_fault(value)
  if fault then opts.fail("%s (option '%s': %s)", where, name, fault) end
  return rule[1] == "integer" and math.tointeger(value) or value
end

--- Whether a rule of opts.check allows a value.
---@param value any
---@param rule table
---@return boolean
function opts.allows(value, rule)
  if value == nil then return not rule.required end
  return is_valid(value, rule)
end

--- Takes a value that comes by another way than as an option (assigned, returned by a user's
--- function) and is held to the same rule, or raises.
---@param what string "adamw: the learning rate of step 3"
---@param value any
---@param rule table of opts.check
---@return any value
function opts.held(what, value, rule)
  if not is_valid(value, rule) then opts.fail("%s: %s expected, got %s", what, expected(rule, value), shown(value)) end
  return value
end

--- A value as messages show it: numbers and strings themselves, tensors by their shape.
---@param value any
---@return string
function opts.shown(value)
  if opts.kind(value) == "tensor" then
    local fine, text = pcall(opts.shape_text, value)
    return fine and "a tensor " .. text or "a freed tensor"
  end
  return shown(value)
end

--- Raises unless a value is a path. Every path of a user's goes through here, or is an option of
--- the type "path".
---@param name string the function's name, as the user writes it
---@param path any
---@param argument integer|nil which argument it is, 1 if not given
---@return string path
function opts.path(name, path, argument)
  if type(path) ~= "string" then
    opts.fail("bad argument #%d to '%s' (a path expected, got %s)", argument or 1, name, opts.shown(path))
  end
  local fault = path_fault(path)
  if fault then opts.fail("bad argument #%d to '%s' (%s)", argument or 1, name, fault) end
  return path
end

--- Raises unless a value is a table.
---@param name string the function's name, as the user writes it
---@param argument integer which argument it is
---@param what string "a state, as state() gives it"
---@param value any
---@return table value
function opts.a_table(name, argument, what, value)
  if type(value) ~= "table" then
    opts.fail("bad argument #%d to '%s' (%s expected, got %s)", argument, name, what, opts.shown(value))
  end
  return value
end

local function can_be_called(value)
  local meta = debug.getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- Raises unless a value can be called.
---@param where string who is to call it
---@param what string its name there
---@param value any
function opts.callable(where, what, value)
  if not can_be_called(value) then opts.fail("%s: %s must be a function, got %s", where, what, opts.shown(value)) end
end

--- Takes what a user's function says of each sample: a number each, or their sum.
---@param what string
---@param value any
---@param x any the samples
---@return any value
function opts.per_sample(what, value, x)
  if opts.kind(value) ~= "tensor" or value:numel() ~= 1 and opts.shape_text(value) ~= ("[%d]"):format(x:size(1)) then
    opts.fail("%s returned %s for %s; one number a sample, [%d], or their sum expected", what, opts.shown(value),
      opts.shape_text(x), x:size(1))
  end
  return value
end

--- What helps where integers came for floats: the end of a sentence.
---@param x diffusion.tensor
---@return string
function opts.remedy(x)
  local dtype = x:dtype()
  return (dtype == "u8" or dtype == "i64") and "; d.image.to_float brings images into [-1, 1]" or ""
end

--- Raises where a tensor holds integers, as the bytes of pictures.
---@param where string
---@param name string what it is there
---@param x any
---@return any x
function opts.floats(where, name, x)
  local remedy = opts.kind(x) == "tensor" and opts.remedy(x) or ""
  if remedy ~= "" then opts.fail("%s: %s is of %s; floats expected%s", where, name, x:dtype(), remedy) end
  return x
end

local behind = setmetatable({}, { __mode = "k" }) -- the methods that guards call

local function guarded(kind, name, fn)
  local own = "diffusion." .. kind
  local function guard(self, ...)
    local meta = debug.getmetatable(self)
    if not meta or rawget(meta, "__name") ~= own then
      opts.fail("bad argument #1 to '%s' (%s expected, got %s; methods are called with a colon, as in x:%s())",
        name, kind, opts.shown(self), name)
    end
    return fn(self, ...)
  end
  behind[guard] = fn
  return guard
end

--- The method itself where a function is its guard.
---@param fn function
---@return function
function opts.behind(fn) return behind[fn] or fn end

--- Has the methods of a kind, when all are there, say what they expect where they are called with
--- a dot, or of something else. The core's say so themselves.
---@param kind string
---@param methods table<string, function>
function opts.methods(kind, methods)
  for name, fn in pairs(methods) do
    local ours = type(fn) == "function" and not name:find "^__" and debug.getinfo(fn, "S").what ~= "C"
    if ours then methods[name] = guarded(kind, name, fn) end
  end
end

--- Raises unless a denoiser can be called.
---@param where string who is to call it
---@param model any
function opts.denoiser(where, model)
  if not can_be_called(model) then
    opts.fail("%s: model must be a denoiser, callable as (xt, t, {class=}), got %s", where, opts.shown(model))
  end
end

-- A denoiser's answer as text, of the width of so many xt.
local function answer_text(xt, outputs)
  local shape = xt:shape()
  shape[#shape] = shape[#shape] * outputs
  return "[" .. table.concat(shape, ",") .. "]"
end

-- What was expected, for a tensor (or what isn't one) that doesn't do.
local function wish_of(out, xt, outputs)
  local is_tensor = opts.kind(out) == "tensor"
  if is_tensor and out:dtype() ~= xt:dtype() then
    return ("%s %s expected"):format(xt:dtype(), answer_text(xt, outputs))
  end
  if outputs == 2 then
    return answer_text(xt, 2) .. " expected, since the variance is learned: v beside the prediction (outputs = 2 of "
      .. "d.mlp, d.unet and d.dit)"
  end
  local twice = is_tensor and opts.shape_text(out) == answer_text(xt, 2)
  return "a tensor of the same shape expected" .. (twice
    and "; for a network with outputs = 2 the process has variance = 'learned_range' or 'learned'" or "")
end

--- Takes what a user's denoiser returned: a tensor of xt's shape, or twice as wide where the
--- variance is learned, or a sentence.
---@param where string who asked it
---@param out any
---@param xt any
---@param outputs integer|nil process.outputs, 1 if not given
---@return any out
function opts.answer(where, out, xt, outputs)
  outputs = outputs or 1
  local of = opts.kind(out) == "tensor" and out:dtype() ~= xt:dtype() and " of " .. out:dtype() or ""
  if of == "" and opts.kind(out) == "tensor" and opts.shape_text(out) == answer_text(xt, outputs) then return out end
  opts.fail("%s: the denoiser returned %s%s for xt %s; %s", where, opts.shown(out), of, opts.shape_text(xt),
    wish_of(out, xt, outputs))
end

--- A table that shows fields, of which those that have a rule can be written, within it.
---@param name string "trainer"
---@param fields table
---@param rules table<string, table> of opts.check
---@param meta table {__name =, __index = methods, ...}
---@return table
function opts.governed(name, fields, rules, meta)
  local own = {}
  for key, value in pairs(meta) do own[key] = value end
  own.__index, own.__methods = setmetatable(fields, { __index = meta.__index }), meta.__index
  function own.__newindex(_, key, value)
    local rule = rules[key]
    if not rule then
      opts.fail("%s: '%s' can't be written; what can: %s", name, tostring(key), table.concat(sorted_keys(rules), ", "))
    end
    if value == nil then value = rule.default end
    if value ~= nil then opts.held(("%s: %s"):format(name, key), value, rule) end
    fields[key] = value
  end
  return setmetatable({}, own)
end

--- A table that shows fields and refuses to have them written.
---@param fields table
---@param methods table
---@param meta table {__name =, __tostring =, ...}
---@return table
function opts.sealed(fields, methods, meta)
  local own = { __index = setmetatable(fields, { __index = methods }), __len = function() return #fields end }
  for key, value in pairs(meta) do own[key] = value end
  own.__methods, own.__newindex = methods, opts.refuse_write
  if own.__tostring then legible.speaks(own) end
  return setmetatable({}, own)
end

--- __newindex of what never changes.
---@param object any
---@param key any
function opts.refuse_write(object, key)
  local kind = opts.kind(object)
  opts.fail("a %s never changes, so its '%s' can't be written; make another %s", kind, legible.line(key), kind)
end

--- Checks a table of options against rules and returns a new table with the defaults in.
--- A rule is `{ types, default=, required=, min=, max=, above=, below=, infinite=, one_of= }`:
--- types as "integer|tensor" (see opts.kind; "any" takes all); min and max belong to the range,
--- above and below don't; a number is finite unless `infinite`; one_of lists the strings
--- allowed, beside which `types` may name other types; "path" is a string that names a file.
---@param name string the function's name, as the user writes it
---@param given table|nil the user's options
---@param rules table<string, table>
---@param argument integer|nil which argument the options are, 1 if not given
---@return table
function opts.check(name, given, rules, argument)
  local where = ("bad argument #%d to '%s'"):format(argument or 1, name)
  if given ~= nil and type(given) ~= "table" then
    opts.fail("%s (a table of options expected, got %s)", where, shown(given))
  end
  for key in pairs(given or {}) do
    if rules[key] == nil then opts.fail("%s (%s)", where, opts.unknown("option", key, sorted_keys(rules))) end
  end
  local out = {}
  for key, rule in pairs(rules) do
    out[key] = checked(where, key, given and given[key], rule)
  end
  return out
end

return opts
