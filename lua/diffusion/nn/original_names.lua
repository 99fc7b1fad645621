-- The paths that layers of UNet2DConditionModel have in the network of Stable Diffusion's authors.
local original = {}

local RESNET = { norm1 = "in_layers.0", conv1 = "in_layers.2", time_emb_proj = "emb_layers.1", norm2 = "out_layers.0",
  conv2 = "out_layers.3", conv_shortcut = "skip_connection" }

local WHOLE = { ["conv_in"] = "input_blocks.0.0", ["conv_out"] = "out.2", ["conv_norm_out"] = "out.0",
  ["time_embedding.linear_1"] = "time_embed.0", ["time_embedding.linear_2"] = "time_embed.2",
  ["add_embedding.linear_1"] = "label_emb.0.0", ["add_embedding.linear_2"] = "label_emb.0.2",
  ["mid_block.resnets.0"] = "middle_block.0", ["mid_block.attentions.0"] = "middle_block.1",
  ["mid_block.resnets.1"] = "middle_block.2" }

-- The number of resnets of each level, if all have as many.
local function blocks_of(config)
  local n = config.layers_per_block
  if type(n) ~= "table" then return n end
  for _, other in ipairs(n) do
    if other ~= n[1] then return nil end
  end
  return n[1]
end

local function down(level, part, j, blocks)
  local at = level * (blocks + 1)
  if part == "downsamplers" then return ("input_blocks.%d.0"):format(at + blocks + 1) end
  return ("input_blocks.%d.%d"):format(at + j + 1, part == "resnets" and 0 or 1)
end

-- A change of size follows the attention, if there is one.
local function up(level, part, j, blocks, attends)
  local at = level * (blocks + 1)
  if part == "upsamplers" then return ("output_blocks.%d.%d"):format(at + blocks, attends and 2 or 1) end
  return ("output_blocks.%d.%d"):format(at + j, part == "resnets" and 0 or 1)
end

-- The stem of a layer's path, and what follows it.
local function stem_of(config, path)
  for theirs, own in pairs(WHOLE) do
    if path == theirs then return own, "" end
    if path:sub(1, #theirs + 1) == theirs .. "." then return own, path:sub(#theirs + 1) end
  end
  local blocks = blocks_of(config)
  local way, level, part, j, rest = path:match "^(%l+)_blocks%.(%d+)%.(%l+)%.(%d+)(.*)$"
  if not (way and blocks) then return nil end
  level, j = math.tointeger(level), math.tointeger(j)
  if way == "down" then return down(level, part, j, blocks), (rest:gsub("^%.conv$", ".op")) end
  local kinds = config.up_block_types
  local attends = type(kinds) == "table" and tostring(kinds[level + 1]):find "CrossAttn" ~= nil
  return up(level, part, j, blocks, attends), rest
end

--- The path of a layer there.
---@param config table options of the network
---@param path string the layer's path in diffusers
---@return string|nil
function original.of(config, path)
  if config.kind ~= "unet2dcondition" then return nil end
  local stem, rest = stem_of(config, path)
  if not stem then return nil end
  return stem .. (rest:gsub("^%.([%w_]+)$", function(name) return "." .. (RESNET[name] or name) end))
end

return original
