-- The keys of latent diffusion's own files for those of diffusers and transformers. The file of Stable
-- Diffusion has three networks, each under a prefix.
local original = require "diffusion.nn.original_names"

local names = { unet = original.unet }

local replaced = original.replaced

-- ==== the autoencoder ===================================================================

local function shortcut(rest) return (rest:gsub("^conv_shortcut%.", "nin_shortcut.")) end

local mid = { { "group_norm%.", "norm." }, { "to_out%.0%.", "proj_out." }, { "to_([qkv])%.", "%1." } }

--- The key of an autoencoder's tensor.
---@param levels integer
---@return fun(key: string): string
function names.vae(levels)
  local rules = {
    { "^encoder%.down_blocks%.(%d+)%.resnets%.(%d+)%.(.*)$", function(i, j, rest)
      return ("encoder.down.%s.block.%s.%s"):format(i, j, shortcut(rest))
    end },
    { "^encoder%.down_blocks%.(%d+)%.downsamplers%.0%.", "encoder.down.%1.downsample." },
    { "^decoder%.up_blocks%.(%d+)%.resnets%.(%d+)%.(.*)$", function(i, j, rest)
      return ("decoder.up.%d.block.%s.%s"):format(levels - 1 - i, j, shortcut(rest))
    end },
    { "^decoder%.up_blocks%.(%d+)%.upsamplers%.0%.(.*)$", function(i, rest)
      return ("decoder.up.%d.upsample.%s"):format(levels - 1 - i, rest)
    end },
    { "^(%l+)%.mid_block%.resnets%.(%d)%.", function(part, j) return ("%s.mid.block_%d."):format(part, j + 1) end },
    { "^(%l+)%.mid_block%.attentions%.0%.(.*)$", function(part, rest)
      return ("%s.mid.attn_1.%s"):format(part, replaced(rest, mid))
    end },
    { "^(%l+)%.conv_norm_out%.", "%1.norm_out." },
  }
  return function(key) return replaced(key, rules) end
end

-- ==== open_clip's text encoder ==========================================================

local layer = { { "^layer_norm([12])%.", "ln_%1." }, { "^mlp%.fc1%.", "mlp.c_fc." }, { "^mlp%.fc2%.", "mlp.c_proj." },
  { "^self_attn%.out_proj%.", "attn.out_proj." } }
local whole = { { "^embeddings%.token_embedding%.weight$", "token_embedding.weight" },
  { "^embeddings%.position_embedding%.weight$", "positional_embedding" }, { "^final_layer_norm%.", "ln_final." },
  { "^text_projection%.weight$", "text_projection" } }
local PART = { q = 1, k = 2, v = 3 }

--- The key of open_clip for one of CLIPTextModel. There q, k and v are one tensor, each a third of its rows.
---@param key string
---@return string
---@return integer|nil third
function names.open_clip(key)
  key = key:gsub("^text_model%.", "")
  local i, rest = key:match "^encoder%.layers%.(%d+)%.(.*)$"
  if not i then return (replaced(key, whole)) end
  local part, kind = rest:match "^self_attn%.([qkv])_proj%.(%l+)$"
  if part then return ("transformer.resblocks.%s.attn.in_proj_%s"):format(i, kind), PART[part] end
  return ("transformer.resblocks.%s.%s"):format(i, replaced(rest, layer))
end

return names
