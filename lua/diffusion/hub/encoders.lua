-- The components of a pipeline that read prompts: one or two text encoders with their tokenizers.
local json = require "diffusion.file.json"
local files = require "diffusion.text.files"
local legible = require "diffusion.legible"
local tokenizer = require "diffusion.text.tokenizer"

local encoders = {}

--- Whether an index has no component of a name.
---@param index table
---@param name string
---@return boolean
function encoders.is_absent(index, name)
  local entry = index[name]
  return entry == nil or entry == json.null or type(entry) == "table" and entry[1] == json.null
end

-- The name of a component with the ending that an index gives it.
local function component_of(name, ending) return name .. (ending == "" and "" or "_" .. ending) end

-- Adds the tokenizer of an encoder.
local function with_tokenizer(out, index, ending, place)
  local name = component_of("tokenizer", ending)
  local class, message = place.class_of(place.path, index, name)
  if not class then return message end
  if not (class:find "^CLIPTokenizer" or class == "PreTrainedTokenizerFast") then
    return (select(2, legible.refused("%s: tokenizers of class %s aren't followed here", place.path, class)))
  end
  local own
  own, message = place.tokenizer_of(name)
  out["tokenizer" .. ending] = own and tokenizer.joined(own)
  return message
end

-- Adds one encoder and its tokenizer, the parts text and tokenizer with the same ending.
local function with_encoder(out, index, ending, place)
  local name, own = component_of("text_encoder", ending), "text" .. ending
  local class, message = place.class_of(place.path, index, name)
  if not class then return message end
  local info
  out[own], message, info = place.network_of(name, class)
  if not out[own] then return message .. "; text = false takes encoded prompts in place of texts" end
  out.classes[own] = info.class
  return with_tokenizer(out, index, ending, place)
end

-- Adds the facts that the index has about pipelines with two encoders.
local function with_facts(out, index, path)
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
---@param place table {path = of the index, class_of =, network_of =, tokenizer_of = functions of components}
---@param o table options of d.hub.load
---@return string|nil message
function encoders.parts(out, index, known, place, o)
  local message = known.joins and with_facts(out, index, place.path) or nil
  if message or o.text == false then return message end
  if not (known.joins and encoders.is_absent(index, "text_encoder")) then
    message = with_encoder(out, index, "", place)
  end
  if known.joins and not message then message = with_encoder(out, index, "2", place) end
  return message
end

-- ==== saving ============================================================================

--- The class of a pipeline of networks that read prompts.
---@param parts table {text, text2}
---@param painter boolean the denoiser gets a mask
---@return string
function encoders.class(parts, painter)
  local kind = parts.text2 and "StableDiffusionXL" or "StableDiffusion"
  return kind .. (painter and "InpaintPipeline" or "Pipeline")
end

--- Adds the parts of a folder for the encoders of a pipe, and what its index says of them.
---@param list table[] parts for writing.folder
---@param index table
---@param parts table {text, text2, tokenizer, tokenizer2, zeros, scored}
---@param known table from pipelines.find
---@param part_of fun(name: string, net: any): table|nil, string|nil
---@return string|nil message
function encoders.add(list, index, parts, known, part_of)
  for _, ending in ipairs(known.joins and { "", "2" } or { "" }) do
    local name, other = component_of("text_encoder", ending), component_of("tokenizer", ending)
    index[name], index[other] = { json.null, json.null }, { json.null, json.null }
    if parts["text" .. ending] then
      local part, message = part_of(name, parts["text" .. ending])
      if not part then return message end
      list[#list + 1] = part
      local tokens = parts["tokenizer" .. ending]
      list[#list + 1] = { folder = other, texts = files.of(tokens), class = files.class(tokens),
        library = "transformers" }
    end
  end
  for _, name in ipairs { "feature_extractor", "image_encoder" } do index[name] = { json.null, json.null } end
  if known.joins then
    index.force_zeros_for_empty_prompt, index.requires_aesthetics_score = parts.zeros ~= false, parts.scored or nil
  else
    index.safety_checker, index.requires_safety_checker = { json.null, json.null }, false
  end
end

--- Why networks can't be such a pipeline, or nil.
---@param parts table
---@param known table
---@param class string
---@return string|nil
function encoders.fault(parts, known, class)
  local last = known.joins and "2" or ""
  for _, ending in ipairs { "", "2" } do
    local net, tokens = parts["text" .. ending], parts["tokenizer" .. ending]
    if ending == last and not net then return ("a %s needs the part text%s, a text encoder"):format(class, ending) end
    if net and not tokens then return ("text%s needs the part tokenizer%s"):format(ending, ending) end
  end
end

return encoders
