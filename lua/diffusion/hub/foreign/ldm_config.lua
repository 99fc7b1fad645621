-- Configs of diffusers and transformers for the networks of latent diffusion's own files, by the shapes of their
-- tensors. Sizes of heads, which no shape tells, are those of Stable Diffusion.
local ldm_config = {}

local HEADS, HEAD, GROUPS = 8, 64, 32

local function count(shapes, pattern)
  local n = 0
  while shapes[pattern:format(n)] do n = n + 1 end
  return n
end

-- ==== the denoiser ======================================================================

-- The levels on the way down: width, number of blocks, and depth of their transformers, 0 without attention.
local function levels_of(shapes)
  local list, level, at = {}, { blocks = 0 }, 1
  while true do
    local path = ("input_blocks.%d."):format(at)
    local out = shapes[path .. "0.out_layers.3.weight"]
    if out then
      level.width, level.blocks = out[1], level.blocks + 1
      level.depth = count(shapes, path .. "1.transformer_blocks.%d.norm1.weight")
      level.path = level.depth > 0 and path .. "1." or nil
    else
      list[#list + 1], level = level, { blocks = 0 }
      if not shapes[path .. "0.op.weight"] then return list end
    end
    at = at + 1
  end
end

local function each(list, fn, backwards)
  local out = {}
  for i, one in ipairs(list) do out[backwards and #list + 1 - i or i] = fn(one) end
  return out
end

local function block(way) return function(level) return (level.depth > 0 and "CrossAttn" or "") .. way end end

-- The widths of heads, by the form of the projections: Stable Diffusion 1 has eight heads everywhere.
local function heads_of(levels, linear)
  if not linear then return HEADS end
  return each(levels, function(level) return math.max(1, level.width // HEAD) end)
end

--- The config of the denoiser.
---@param shapes table<string, integer[]> by keys without the prefix
---@return table
function ldm_config.unet(shapes)
  local levels = levels_of(shapes)
  local depth = count(shapes, "middle_block.1.transformer_blocks.%d.norm1.weight")
  local proj = shapes["middle_block.1.proj_in.weight"]
  local label = shapes["label_emb.0.0.weight"]
  local depths = each(levels, function(level) return math.max(level.depth, 1) end)
  depths[#depths] = depth
  return {
    in_channels = shapes["input_blocks.0.0.weight"][2], out_channels = shapes["out.2.weight"][1],
    block_out_channels = each(levels, function(level) return level.width end), layers_per_block = levels[1].blocks,
    down_block_types = each(levels, block "DownBlock2D"), up_block_types = each(levels, function(level)
      return level.depth > 0 and "CrossAttnUpBlock2D" or "UpBlock2D"
    end, true),
    transformer_layers_per_block = depths, norm_num_groups = GROUPS, use_linear_projection = #proj == 2,
    attention_head_dim = heads_of(levels, #proj == 2),
    cross_attention_dim = shapes["middle_block.1.transformer_blocks.0.attn2.to_k.weight"][2],
    addition_embed_type = label and "text_time" or nil, addition_time_embed_dim = label and 256 or nil,
    projection_class_embeddings_input_dim = label and label[2] or nil, sample_size = label and 128 or 64,
  }
end

-- ==== the autoencoder and the text encoders =============================================

--- The config of the autoencoder.
---@param shapes table<string, integer[]>
---@param factor number scaling_factor
---@return table
function ldm_config.vae(shapes, factor)
  local n, widths = count(shapes, "encoder.down.%d.block.0.conv1.weight"), {}
  for i = 1, n do widths[i] = shapes[("encoder.down.%d.block.0.conv1.weight"):format(i - 1)][1] end
  local function types(name)
    return each(widths, function() return name end)
  end
  return { in_channels = shapes["encoder.conv_in.weight"][2], out_channels = shapes["decoder.conv_out.weight"][1],
    latent_channels = shapes["decoder.conv_in.weight"][2], block_out_channels = widths,
    layers_per_block = count(shapes, "encoder.down.0.block.%d.conv1.weight"), norm_num_groups = GROUPS,
    down_block_types = types "DownEncoderBlock2D", up_block_types = types "UpDecoderBlock2D",
    scaling_factor = factor, sample_size = 512 }
end

local function text_config(table_shape, positions, inner, layers, projection)
  return { vocab_size = table_shape[1], hidden_size = table_shape[2], intermediate_size = inner[1],
    num_hidden_layers = layers, num_attention_heads = math.max(1, table_shape[2] // HEAD),
    max_position_embeddings = positions[1], projection_dim = projection or table_shape[2], eos_token_id = 2 }
end

--- The config of OpenAI's text encoder, under transformers' keys.
---@param shapes table<string, integer[]>
---@return table
function ldm_config.clip(shapes)
  local out = text_config(shapes["text_model.embeddings.token_embedding.weight"],
    shapes["text_model.embeddings.position_embedding.weight"],
    shapes["text_model.encoder.layers.0.mlp.fc1.weight"],
    count(shapes, "text_model.encoder.layers.%d.mlp.fc1.weight"))
  out.hidden_act = "quick_gelu"
  return out
end

--- The config of a text encoder of open_clip.
---@param shapes table<string, integer[]>
---@param projected boolean whether the pooled state is projected; else the last layer is left out
---@return table
function ldm_config.open_clip(shapes, projected)
  local layers = count(shapes, "transformer.resblocks.%d.mlp.c_fc.weight")
  local projection = projected and shapes["text_projection"]
  local out = text_config(shapes["token_embedding.weight"], shapes["positional_embedding"],
    shapes["transformer.resblocks.0.mlp.c_fc.weight"], projected and layers or layers - 1, projection and projection[2])
  out.hidden_act, out.projection = "gelu", projected
  return out
end

return ldm_config
