-- A PyTorch file's whole value as Lua tables: dicts by their keys, lists and tuples as sequences.
-- Values that several containers share are one value here too. None is absent in a dict.
local arrays = require "diffusion.file.arrays"
local parser = require "diffusion.file.parser"
local tensor = require "diffusion.file.pytorch_tensor"
local value = require "diffusion.file.pickle_value"

local pytorch_plain = {}

local DEEPEST = 150

local fault = parser.fault "pytorch"

-- A value of a class of Python: {class, state, items, list}.
local Opaque = { __name = "opaque", __tostring = function(v) return "opaque " .. v.class end }

local made

-- c = {world, made = the values of tables, depth}
local function inside(c, v)
  if v == nil then return nil end
  c.depth = c.depth + 1
  if c.depth > DEEPEST then fault("containers nested deeper than %d", DEEPEST) end
  local out = made(c, v)
  c.depth = c.depth - 1
  return out
end

local read = {}

function read.dict(c, v, out)
  for _, key, one in value.entries(v) do
    local name = inside(c, key)
    if one ~= value.none and name == name then out[name] = inside(c, one) end
  end
end

function read.list(c, v, out)
  for k, one in ipairs(v) do out[k] = inside(c, one) end
end
read.tuple, read.set = read.list, read.list

function read.opaque(c, v, out)
  setmetatable(out, Opaque)
  out.class, out.state, out.items, out.list = v.name, inside(c, v.state), inside(c, v.items), inside(c, v.list)
end
read.global = read.opaque
function read.none(_, _, out) setmetatable(out, Opaque).class = "None" end
function read.storage(_, v, out) setmetatable(out, Opaque).class = "storage " .. v.key end
read["storage type"] = function(_, v, out) setmetatable(out, Opaque).class = "storage of " .. v.of.name end

local function read_tensor(c, v)
  local x, why = tensor.read(v, c.world)
  return x or arrays.unread("storage " .. v.storage.key, v.dtype.name, v.size, why)
end

function made(c, v)
  local kind = value.kind(v)
  if type(v) ~= "table" then return v end
  if kind == "bytes" then return v.text elseif kind == "dtype" then return v.name end
  if c.made[v] == nil then
    if kind == "tensor" then c.made[v] = read_tensor(c, v)
    else
      c.made[v] = {}
      read[kind](c, v, c.made[v])
    end
  end
  return c.made[v]
end

--- The value as Lua's tables.
---@param v any
---@param world table
---@return any
function pytorch_plain.of(v, world) return made({ world = world, made = {}, depth = 0 }, v) end

return pytorch_plain
