-- The keys that a denoiser of diffusers' class has in latent diffusion's own files, and so in kohya's.
local original = {}

--- The key with the first pattern replaced that it matches.
---@param key string
---@param rules table[] {pattern, a text or a function of the captures}
---@return string
function original.replaced(key, rules)
  for _, rule in ipairs(rules) do
    local out, count = key:gsub(rule[1], rule[2])
    if count > 0 then return out end
  end
  return key
end

local replaced = original.replaced

local in_block = { { "^norm1%.", "in_layers.0." }, { "^conv1%.", "in_layers.2." }, { "^norm2%.", "out_layers.0." },
  { "^conv2%.", "out_layers.3." }, { "^time_emb_proj%.", "emb_layers.1." },
  { "^conv_shortcut%.", "skip_connection." } }

local ends = { { "^conv_in%.", "input_blocks.0.0." }, { "^conv_norm_out%.", "out.0." }, { "^conv_out%.", "out.2." },
  { "^time_embedding%.linear_1%.", "time_embed.0." }, { "^time_embedding%.linear_2%.", "time_embed.2." },
  { "^add_embedding%.linear_1%.", "label_emb.0.0." }, { "^add_embedding%.linear_2%.", "label_emb.0.2." },
  { "^mid_block%.attentions%.0%.", "middle_block.1." } }

--- The key of a denoiser's tensor.
---@param config table {layers_per_block, up_block_types} of UNet2DConditionModel
---@return fun(key: string): string
function original.unet(config)
  local n = config.layers_per_block
  local rules = {
    { "^down_blocks%.(%d+)%.(%l+)%.(%d+)%.(.*)$", function(i, part, j, rest)
      local at = (n + 1) * i + j + 1
      if part == "downsamplers" then
        return ("input_blocks.%d.0.op.%s"):format((n + 1) * (i + 1), rest:match "[^.]+$")
      end
      if part == "attentions" then return ("input_blocks.%d.1.%s"):format(at, rest) end
      return ("input_blocks.%d.0.%s"):format(at, replaced(rest, in_block))
    end },
    { "^up_blocks%.(%d+)%.(%l+)%.(%d+)%.(.*)$", function(i, part, j, rest)
      local at = (n + 1) * i + j
      if part == "upsamplers" then
        local place = config.up_block_types[i + 1]:find "^Cross" and 2 or 1
        return ("output_blocks.%d.%d.%s"):format((n + 1) * i + n, place, rest)
      end
      if part == "attentions" then return ("output_blocks.%d.1.%s"):format(at, rest) end
      return ("output_blocks.%d.0.%s"):format(at, replaced(rest, in_block))
    end },
    { "^mid_block%.resnets%.(%d)%.(.*)$", function(j, rest)
      return ("middle_block.%d.%s"):format(2 * j, replaced(rest, in_block))
    end },
  }
  return function(key) return replaced(replaced(key, rules), ends) end
end

-- Whether all levels have as many resnets. Those of the authors' networks have.
local function is_even(n) return type(n) ~= "table" end

--- The path of a layer of a denoiser there.
---@param config table options of the network
---@param path string the layer's path in diffusers
---@return string|nil path nil for another network
function original.path(config, path)
  if config.kind ~= "unet2dcondition" or not is_even(config.layers_per_block) then return nil end
  return (original.unet(config)(path .. ".weight"):gsub("%.weight$", ""))
end

return original
