-- The text encoders of latent diffusion as CLIPTextModel, whose keys they get. Their keys are those of
-- transformers or of open_clip.
local family = require "diffusion.network.cliptext"

local text = { known = family, entry = family.peers.diffusers }

local HEAD = 64 -- channels of a head
local WHOLE = 24 -- layers of the encoder of version 2, of which the last one isn't used
local LEGACY_EOS = 2 -- the largest id ends a text

-- ==== finding ============================================================================

local FORMS = {
  { "transformer.text_model.embeddings.token_embedding.weight", "transformer.text_model.", "transformers" },
  { "transformer.embeddings.token_embedding.weight", "transformer.", "transformers" },
  { "model.token_embedding.weight", "model.", "open_clip" },
}

local function encoder_at(shapes, base, stems)
  for _, own in ipairs(stems) do
    local stem = base .. own
    for _, form in ipairs(FORMS) do
      if shapes[stem .. form[1]] then return { prefix = stem .. form[2], form = form[3], stem = stem } end
    end
  end
end

--- The text encoders of a file: {prefix of the keys, form, stem}, nil for none.
---@param shapes table<string, any> by key
---@param base string before all keys of the file
---@return table|nil first
---@return table|nil second
function text.find(shapes, base)
  return encoder_at(shapes, base, { "cond_stage_model.", "conditioner.embedders.0." }),
    encoder_at(shapes, base, { "cond_stage_model.1.", "conditioner.embedders.1." })
end

-- ==== names ==============================================================================

local OPEN = { ["token_embedding.weight"] = "embeddings.token_embedding.weight",
  positional_embedding = "embeddings.position_embedding.weight", ["ln_final.weight"] = "final_layer_norm.weight",
  ["ln_final.bias"] = "final_layer_norm.bias", text_projection = "text_projection" }

local LAYER = { ln_1 = "layer_norm1", ln_2 = "layer_norm2", ["mlp.c_fc"] = "mlp.fc1", ["mlp.c_proj"] = "mlp.fc2",
  ["attn.out_proj"] = "self_attn.out_proj" }

-- Transformers' name of a key of open_clip, nil for keys that its class doesn't have.
local function of_open_clip(key)
  local i, rest = key:match "^transformer%.resblocks%.(%d+)%.(.*)$"
  if not i then return OPEN[key] end
  local kind = rest:match "^attn%.in_proj_(%a+)$"
  if kind then return ("encoder.layers.%s.self_attn.in_proj.%s"):format(i, kind) end
  local stem, own = rest:match "^(.*)%.(%a+)$"
  return ("encoder.layers.%s.%s.%s"):format(i, LAYER[stem] or stem or "?", own or rest)
end

-- The keys of a form as {transformers' name = key}.
local function names_of(p, form)
  local out = {}
  for key in pairs(p.shapes) do
    local own = key
    if form == "open_clip" then own = of_open_clip(key) end
    if own and not own:find "position_ids$" then out[own] = key end
  end
  return out
end

-- ==== tensors ============================================================================

-- Adds q, k and v of a tensor that has the rows of all.
local function split(out, name, x)
  local stem, kind = name:match "^(.*)%.in_proj%.(%a+)$"
  local rows = x:size(1) // 3
  for i, own in ipairs { "q_proj", "k_proj", "v_proj" } do
    out[("%s.%s.%s"):format(stem, own, kind)] = x:narrow(1, 1 + (i - 1) * rows, rows)
  end
end

-- Windows by transformers' names. `layers` are kept.
local function tensors_of(p, names, layers, projection)
  local out = {}
  for name, key in pairs(names) do
    local x, layer = p.tensors[key], tonumber(name:match "^encoder%.layers%.(%d+)%.")
    if layer and layer >= layers then x = nil end
    if x and name:find "%.in_proj%.%a+$" then split(out, name, x)
    elseif name ~= "text_projection" then out[name] = x end
  end
  out["text_projection.weight"] = projection
  return out
end

-- The projection as {width of the result, width}, nil for none. That of open_clip is the other way round.
local function projection_of(p, names)
  if names.text_projection then return p.tensors[names.text_projection]:t() end
  return p.outer.get "text_projection.weight"
end

-- ==== options ============================================================================

local function heads_of(p, width)
  if p.o.text_heads then return p.o.text_heads end
  if width % HEAD ~= 0 then p:refuse("a text encoder of %d channels has no heads of %d channels", width, HEAD) end
  return width // HEAD
end

local function layers_of(p, names, penultimate)
  local n = 0
  while names[("encoder.layers.%d.layer_norm1.weight"):format(n)] do n = n + 1 end
  if n == 0 then p:refuse "its text encoder has no layers" end
  if penultimate and n > 1 and (n == WHOLE or names.text_projection) then n = n - 1 end
  return n
end

local function options_of(p, names, how)
  local function size(name, dim) return p:size(names[name] or name, dim) end
  local tokens, places = "embeddings.token_embedding.weight", "embeddings.position_embedding.weight"
  local width = size(tokens, 2)
  return { vocab_size = size(tokens, 1), hidden_size = width, max_position_embeddings = size(places, 1),
    intermediate_size = size("encoder.layers.0.mlp.fc1.weight", 1), num_attention_heads = heads_of(p, width),
    num_hidden_layers = layers_of(p, names, how.penultimate), hidden_act = how.act, eos_token_id = LEGACY_EOS,
    projection_dim = width, projection = how.projection or false }
end

--- The width of the embedding that a whole text has, nil if the encoder has no projection.
---@param shapes table<string, integer[]>
---@param found table from text.find
---@return integer|nil
function text.pooled(shapes, found)
  local open = shapes[found.prefix .. "text_projection"]
  local other = shapes[found.stem .. "transformer.text_projection.weight"]
  return open and open[2] or other and other[1] or nil
end

--- Reads a text encoder.
---@param p table a plan
---@param form string from text.find
---@param how table {act, penultimate = the last layer isn't used, projection = whole texts are projected}
---@return table {options, tensors = function, class}
function text.read(p, form, how)
  local names = names_of(p, form)
  local o = options_of(p, names, how)
  local projection
  if how.projection then
    projection = projection_of(p, names)
    if not projection then p:refuse "its text encoder has no text_projection" end
    o.projection_dim = projection:size(1)
  end
  return { options = o, class = how.projection and "CLIPTextModelWithProjection" or "CLIPTextModel",
    tensors = function() return tensors_of(p, names, o.num_hidden_layers, projection) end }
end

return text
