-- The library's own files: safetensors with facts as JSON in the metadata. A file states its
-- kind and the version of its format.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local plain = require "diffusion.file.plain"
local safetensors = require "diffusion.file.safetensors"
local legible = require "diffusion.legible"

local container = {}

local VERSION = 1

-- The kinds, and the function that reads each.
local READER = { model = "d.load_model and model:load read it", checkpoint = "d.checkpoint reads it",
                 run = "run:load reads it", snapshot = "d.posthoc_ema reads it",
                 ["encoded set"] = "pipe:encode_set reads it",
                 ["part of an encoded set"] = "pipe:encode_set reads it with the name of the whole" }

-- The metadata of a file of a kind.
local function described(kind, facts, tensors)
  local values = core.in_c_locale(plain.pack, facts, kind .. ":save", tensors, "facts")
  return { format = "diffusion", version = tostring(VERSION), kind = kind, facts = json.encode(values) }
end

--- Writes a file of a kind, whole or not at all.
---@param path string
---@param kind string "model", "checkpoint", "run", "snapshot"
---@param tensors table<string, any>
---@param facts table plain values; a run's may hold tensors too
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function container.write(path, kind, tensors, facts)
  return safetensors.save(path, tensors, described(kind, facts, kind == "run" and tensors or nil))
end

--- The same for tensors in parts: in place of each there is a list, whose rows follow one another.
---@param path string
---@param kind string
---@param lists table<string, any[]>
---@param facts table plain values
---@return true|nil done nil with a message
---@return string|nil message
function container.write_parts(path, kind, lists, facts)
  return safetensors.write(path, lists, described(kind, facts))
end

local function with_article(kind) return (kind:find "^[aeiou]" and "an " or "a ") .. kind end

--- Reads a file of a kind.
---@param path string
---@param kind string
---@param options table|nil for safetensors.load
---@return table|nil tensors nil with a message if it isn't a good file of the kind
---@return table|string facts or the message
function container.read(path, kind, options)
  local tensors, metadata = safetensors.read(path, options, with_article(kind))
  if not tensors then return nil, metadata end
  if metadata.format ~= "diffusion" then
    return legible.refused("%s: not a file of this library; d.load reads any safetensors file", path)
  end
  local version = math.tointeger(tonumber(metadata.version))
  if not version or version > VERSION then
    return legible.refused("%s: format version %s; this library reads up to %d, a newer one is needed",
      path, tostring(metadata.version), VERSION)
  end
  if metadata.kind ~= kind then
    return legible.refused("%s: %s, not %s; %s", path, with_article(tostring(metadata.kind)), with_article(kind),
      READER[metadata.kind] or "nothing here reads it")
  end
  local unread = arrays.trouble(tensors)
  if unread then return legible.refused("%s: %s", path, unread) end
  local facts, message = json.decode(metadata.facts or "")
  if type(facts) == "table" then facts, message = plain.unpack(facts, tensors) end
  if type(facts) ~= "table" then return legible.refused("%s: %s", path, message or "no description inside") end
  return tensors, facts
end

return container
