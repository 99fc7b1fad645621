--- Unknown names. Reading or writing one is an error that names the nearest known one. Without
--- it `d.smaple` would be nil, and `set.clas` too.
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local lookup = {}

-- Whether a name is checked. Metamethods ("__pairs") and private fields ("_x") read as nil.
---@param key any
---@return boolean
function lookup.is_public(key) return type(key) == "string" and key:sub(1, 1) ~= "_" end

local is_public = lookup.is_public

local function names_of(methods, fields)
  local names = { table.unpack(fields) }
  for name, value in next, methods do
    if is_public(name) and value ~= nil then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- "a run has no 'stpe'; did you mean 'step'?"
---@param whose string "a run has", "d has"
---@param key any
---@param names string[] the known names
---@param help string|nil a topic of d.help
---@return string
function lookup.sentence(whose, key, names, help)
  local near = opts.nearest(key, names)
  local also = near and ("; did you mean '%s'?"):format(near)
    or help and (', and nothing like it; d.help "%s" lists what there is'):format(help) or ", and nothing like it"
  return ("%s no '%s'%s"):format(whose, legible.line(key), also)
end

--- "an ema", "a run".
---@param kind string
---@return string
function lookup.article(kind) return (kind:find "^[aeiou]" and "an " or "a ") .. kind end

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do set[name] = true end
  return set
end

--- Makes unknown names an error for the objects whose __index ends at `methods`.
---@param kind string as kind.of says
---@param methods table<string, any> complete; if it is the metatable, unknown fields can't be written
---@param fields string[]|nil the other public fields, each of which may be nil
---@param peers table<string, string>|nil another library's name -> ours: { cat = "d.cat({x, y}, dim)" }
function lookup.strict(kind, methods, fields, peers)
  fields = fields or {}
  local known, whose = set_of(fields), lookup.article(kind) .. " has"
  local function refuse(key)
    if peers and peers[key] then fail.raise("%s no '%s'; here it is %s", whose, key, peers[key]) end
    fail.raise("%s", lookup.sentence(whose, key, names_of(methods, fields), kind))
  end
  setmetatable(methods, { __index = function(_, key)
    if is_public(key) and not known[key] then refuse(key) end
  end })
  if rawget(methods, "__index") ~= methods or rawget(methods, "__newindex") then return end
  function methods.__newindex(object, key, value)
    if is_public(key) and not known[key] then refuse(key) end
    rawset(object, key, value)
  end
end

local function is_plain(value) return type(value) == "table" and not getmetatable(value) end

--- Makes unknown names an error in a table of functions, and in the tables inside it: d.data and
--- d.data.toy.
---@param path string "d.data"
---@param functions any left as it is unless it is a plain table
---@return any functions
function lookup.functions(path, functions)
  if not is_plain(functions) then return functions end
  for name, value in next, functions do
    if type(name) == "string" then lookup.functions(path .. "." .. name, value) end
  end
  return setmetatable(functions, { __index = function(t, key)
    if is_public(key) then fail.raise("%s", lookup.sentence(path .. " has", key, names_of(t, {}), path)) end
  end })
end

return lookup
