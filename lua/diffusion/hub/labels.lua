-- The names of classes, as a pipeline's id2label lists them: class k here is label k - 1 there. A
-- label may have several names, separated by commas.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local labels = {}

--- The names by class, of id2label. nil if there are none.
---@param given any
---@return table<integer, string>|nil
function labels.read(given)
  if type(given) ~= "table" then return nil end
  local out = {}
  for key, name in pairs(given) do
    local label = math.tointeger(tonumber(key))
    if label and label >= 0 and type(name) == "string" then out[label + 1] = name end
  end
  return next(out) and out or nil
end

--- id2label of the names by class.
---@param names table<integer, string>|nil
---@return table<string, string>|nil
function labels.written(names)
  if not names then return nil end
  local out = {}
  for k, name in pairs(names) do out[("%d"):format(k - 1)] = name end
  return out
end

-- All names, and the classes that have the wanted one.
local function found(names, wanted)
  local all, classes = {}, {}
  for k, text in pairs(names or {}) do
    for name in text:gmatch "[^,]+" do
      name = name:match "^%s*(.-)%s*$"
      if name == wanted and classes[#classes] ~= k then classes[#classes + 1] = k end
      all[#all + 1] = name
    end
  end
  table.sort(classes)
  return all, classes
end

local function class_of(where, names, wanted)
  local all, classes = found(names, wanted)
  if #classes > 1 then
    fail.raise("%s: '%s' names classes %s; give a number", where, wanted, table.concat(classes, " and "))
  end
  if classes[1] then return classes[1] end
  if #all == 0 then fail.raise("%s: class '%s' is a name, but the pipe has no names of classes", where, wanted) end
  local near = opts.nearest(wanted, all)
  fail.raise("%s: no class is named '%s'%s", where, wanted, near and ("; did you mean '%s'?"):format(near) or "")
end

--- Classes with numbers in place of names.
---@param where string
---@param names table<integer, string>|nil
---@param class any
---@return any
function labels.numbers(where, names, class)
  if type(class) == "string" then return class_of(where, names, class) end
  if kind.of(class) ~= "table" then return class end
  local out = {}
  for i, one in ipairs(class) do out[i] = type(one) == "string" and class_of(where, names, one) or one end
  return out
end

return labels
