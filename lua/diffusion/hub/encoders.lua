-- The components of a pipeline that read prompts: one or two text encoders with their tokenizers.
local json = require "diffusion.file.json"
local legible = require "diffusion.legible"
local tokenizer = require("diffusion.text").tokenizer

local encoders = {}

--- Whether an index has no component of a name.
---@param index table
---@param name string
---@return boolean
function encoders.is_absent(index, name)
  local entry = index[name]
  return entry == nil or entry == json.null or type(entry) == "table" and entry[1] == json.null
end

-- Adds one encoder and its tokenizer, the parts text and tokenizer with the same ending.
local function encoder(out, index, ending, place)
  local name, own = "text_encoder" .. (ending == "" and "" or "_" .. ending), "text" .. ending
  local class, message = place.class_of(place.path, index, name)
  if not class then return message end
  local info
  out[own], message, info = place.network_of(name, class)
  if not out[own] then return message .. "; text = false takes encoded prompts in place of texts" end
  out.classes[own] = info.class
  name = "tokenizer" .. (ending == "" and "" or "_" .. ending)
  class, message = place.class_of(place.path, index, name)
  if not class then return message end
  if not class:find "^CLIPTokenizer" then
    return (select(2, legible.refused("%s: tokenizers of class %s aren't followed here", place.path, class)))
  end
  out["tokenizer" .. ending], message = tokenizer(place.folder.path .. "/" .. name)
  return message
end

-- Adds the facts that the index has about pipelines with two encoders.
local function flags(out, index, path)
  if index.is_cosxl_edit == true then
    return (select(2, legible.refused("%s: is_cosxl_edit: networks that edit by instructions aren't run here", path)))
  end
  out.zeros = index.force_zeros_for_empty_prompt ~= false
  out.scored = index.requires_aesthetics_score == true
end

--- Adds these components to a pipe's parts: text, tokenizer, text2, tokenizer2, zeros, scored.
---@param out table
---@param index table
---@param known table from pipelines.find
---@param place table {folder =, path =, class_of =, network_of =}
---@param o table options of d.hub.load
---@return string|nil message
function encoders.parts(out, index, known, place, o)
  local message = known.joins and flags(out, index, place.path) or nil
  if message or o.text == false then return message end
  if not (known.joins and encoders.is_absent(index, "text_encoder")) then
    message = encoder(out, index, "", place)
  end
  if known.joins and not message then message = encoder(out, index, "2", place) end
  return message
end

return encoders
