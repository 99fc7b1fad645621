--- Writes declared options as text, for d.help, for editors and for the tables of the guides.
--- Lua functions declare theirs with opts.declare. The comment of a C function has a line
---   @option NAME TYPE (DEFAULT; RANGE) TEXT
--- for each.
local opts = require "diffusion.opts"

local options = {}

-- ==== rules as text ========================================================================

local LARGE = 100000 -- a limit of that size guards memory and isn't shown

local function literal(value)
  if type(value) == "string" then return ('"%s"'):format(value) end
  if value == math.huge then return "infinite" end
  if type(value) == "number" then return (("%.14g"):format(value):gsub("e([+-])0", "e%1")) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, item in ipairs(value) do parts[i] = literal(item) end
  for _, key in ipairs(opts.names(value)) do
    if type(value[key]) ~= "nil" then parts[#parts + 1] = key .. " = " .. literal(value[key]) end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local plain = { integer = true, number = true, boolean = true, string = true, table = true, any = true,
                userdata = true, ["function"] = true }

--- The names of the choices that an option takes, sorted.
---@param group string
---@return string[]
function options.names_of(group)
  local names = {}
  for name in pairs(opts.choices) do names[#names + 1] = name:match("^" .. group .. " (.*)$") end
  table.sort(names)
  return names
end

-- The type of a rule as editors read it.
local function editor_type(rule)
  local parts = {}
  for _, name in ipairs(rule.choice and options.names_of(rule.choice) or {}) do parts[#parts + 1] = literal(name) end
  if rule.as then return table.concat(table.move({ rule.as }, 1, 1, #parts + 1, parts), "|") end
  for name in (rule[1] or ""):gmatch "[^|]+" do
    if name == "table" and rule.each then parts[#parts + 1] = rule.each[1] .. "[]"
    else parts[#parts + 1] = name == "path" and "string" or plain[name] and name or "diffusion." .. name end
  end
  for _, word in ipairs(rule.one_of or {}) do parts[#parts + 1] = literal(word) end
  return table.concat(parts, "|")
end

-- The types of an editor's union. A bar within brackets divides nothing.
local function union_of(text)
  local parts, from, depth = {}, 1, 0
  for i = 1, #text + 1 do
    local c = text:sub(i, i)
    if c:find "[(<{]" then depth = depth + 1 elseif c:find "[)>}]" then depth = depth - 1 end
    if c == "" or c == "|" and depth == 0 then
      parts[#parts + 1], from = text:sub(from, i - 1), i + 1
    end
  end
  return parts
end

local spoken

-- "integers", "lists of numbers"
local function plural(name)
  local inner = name:match "^%((.*)%)$"
  if inner then
    local parts = {}
    for i, part in ipairs(union_of(inner)) do parts[i] = plural(part) end
    return table.concat(parts, " or ")
  end
  return name:find "%[%]$" and "lists of " .. plural(name:sub(1, -3)) or spoken(name) .. "s"
end

-- A type as people read it.
function spoken(name, entries)
  if name:find "%[%]$" then
    return "list of " .. (entries and entries .. " " or "") .. plural(name:sub(1, -3))
  end
  if name:find "_options$" then return "table" end
  local values = name:match "^table<string, (.*)>$"
  if values then return "table of " .. plural(values) .. " by name" end
  return name:find "^fun%(" and "function" or (name:gsub("^diffusion%.", ""))
end

-- "integer, list of 4 integers or tensor" of an editor's "integer|integer[]|diffusion.tensor"
local function spoken_union(union, entries)
  local parts = union_of(union)
  for i, name in ipairs(parts) do parts[i] = spoken(name, entries) end
  local last = table.remove(parts)
  return #parts > 0 and table.concat(parts, ", ") .. " or " .. last or last
end

local function type_text(rule)
  if rule.what then return rule.what end
  if rule[1] == "path" then return "path" end
  return spoken_union(rule.as or editor_type(opts.joined(rule, { choice = false })), rule.entries)
end

local function range_text(rule)
  local low, high = rule.min or rule.above, rule.max or rule.below
  if high and high >= LARGE then high = nil end
  if low and high then
    return ("%s%s, %s%s"):format(rule.min and "[" or "(", literal(low), literal(high), rule.max and "]" or ")")
  end
  if low then return (rule.min and ">= " or "> ") .. literal(low) end
  if high then return (rule.max and "<= " or "< ") .. literal(high) end
end

local function default_text(rule)
  if rule.required then return "required" end
  if rule.default_text then return rule.default_text end
  local value = rule.default
  if value == nil then value = rule.otherwise end
  return value == nil and "none" or literal(value)
end

-- ==== lists ================================================================================

local function in_order(list)
  table.sort(list, function(a, b)
    if (a.default == "required") ~= (b.default == "required") then return a.default == "required" end
    return a.name < b.name
  end)
  return list
end

-- The options of an option that is a table of them: "groups.lr" of "groups".
local function add_nested(list)
  for i = #list, 1, -1 do
    local set = list[i].as:match "diffusion%.([%w_]+)_options"
    for k, o in ipairs(set and options.declared(set) or {}) do
      table.insert(list, i + k, opts.joined(o, { name = list[i].name .. "." .. o.name, nested = true }))
    end
  end
  return list
end

--- A declared set as a list, the required options first: {name, type, range, default, text, as}.
--- The options of an option follow it, `nested`.
---@param name string
---@return table[]|nil
function options.declared(name)
  local rules = opts.declared[name]
  if not rules then return nil end
  local list = {}
  for key, rule in pairs(rules) do
    list[#list + 1] = { name = key, type = type_text(rule), range = range_text(rule), default = default_text(rule),
                        text = rule.text, as = editor_type(rule) }
  end
  return add_nested(in_order(list))
end

--- One @option of a C function's comment.
---@param name string
---@param as string its type, as editors read it
---@param rest string "(default; range) text"
---@return table
function options.written(name, as, rest)
  local inner, text = rest:match "^%((.-)%)%s+(.*)$"
  local default, range = (inner or "none"):match "^(.-);%s*(.*)$"
  return { name = name, type = spoken_union(as), range = range, default = default or inner or "none",
           text = text or rest, as = as }
end

--- The name of the set of options that a function takes, or that the function takes which it
--- returns.
---@param entry table as doc.collect makes them
---@return string|nil
function options.set_of(entry)
  for _, list in ipairs { entry.params, entry.returns } do
    for _, item in ipairs(list) do
      local name = (item.type or ""):match "diffusion%.([%w_]+)_options"
      if name then return name end
    end
  end
end

-- ==== the class of a set ===================================================================

local function sentence(o)
  local text = o.text:gsub("%.$", "")
  local notes = { text, o.range and "range " .. o.range or nil }
  if o.default ~= "required" and o.default ~= "none" then notes[#notes + 1] = "default " .. o.default end
  return table.concat(notes, "; ")
end

--- The LuaLS class of a list of options.
---@param name string
---@param list table[]
---@return string[] lines
function options.class(name, list)
  local out = { "---@class (exact) diffusion." .. name .. "_options" }
  for _, o in ipairs(list) do
    local mark = o.default == "required" and "" or "?"
    local key = o.name == "end" and '["end"]' or o.name -- a keyword
    if not o.nested then out[#out + 1] = ("---@field %s%s %s %s"):format(key, mark, o.as, sentence(o)) end
  end
  return out
end

return options
