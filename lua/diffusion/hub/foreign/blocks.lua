-- The lists of blocks of guided-diffusion, which latent diffusion has too, as those of diffusers. A block has
-- a number there, counted through all levels.
local blocks = {}

-- ==== levels =============================================================================

-- The layer that doubles an image at the end of an output block: its stem, and whether it is a resnet.
local function growth(p, k)
  for module = 1, 2 do
    local stem = ("output_blocks.%d.%d"):format(k, module)
    if p:shape(stem .. ".conv.weight") then return stem, false end
    if p:shape(stem .. ".in_layers.0.weight") then return stem, true end
  end
end

--- The levels of a network.
---@param p table a plan
---@return table layout {n = levels, blocks = in each, resnets = whether they change sizes}
function blocks.layout(p)
  local count, ups, resnets = p:parts "output_blocks", 0, false
  for k = 0, count - 1 do
    local stem, resnet = growth(p, k)
    if stem then ups, resnets = ups + 1, resnet end
  end
  local n = ups + 1
  local each = count // n - 1
  if count % n ~= 0 or p:parts "input_blocks" ~= n * (each + 1) or each < 1 then
    p:refuse("%d input blocks and %d output blocks with %d changes of size make no levels", p:parts "input_blocks",
      count, ups)
  end
  return { n = n, blocks = each, resnets = resnets }
end

-- ==== stems ==============================================================================

local FIXED = { { "time_embed.0", "time_embedding.linear_1" }, { "time_embed.2", "time_embedding.linear_2" },
  { "label_emb", "class_embedding" }, { "label_emb.0.0", "add_embedding.linear_1" },
  { "label_emb.0.2", "add_embedding.linear_2" }, { "input_blocks.0.0", "conv_in" }, { "out.0", "conv_norm_out" },
  { "out.2", "conv_out" }, { "middle_block.0", "mid_block.resnets.0", "resnet" },
  { "middle_block.1", "mid_block.attentions.0", "attention" }, { "middle_block.2", "mid_block.resnets.1", "resnet" } }

-- Adds one numbered block, with its attention if it has one.
local function add_block(p, list, theirs, ours, j)
  list[#list + 1] = { theirs .. ".0", ("%s.resnets.%d"):format(ours, j), "resnet" }
  if p:shape(theirs .. ".1.qkv.weight") or p:shape(theirs .. ".1.proj_in.weight") then
    list[#list + 1] = { theirs .. ".1", ("%s.attentions.%d"):format(ours, j), "attention" }
  end
end

-- Adds the changes of size at the end of a level.
local function add_sizes(p, list, at, level, down, up)
  local step = at.blocks + 1
  local shrink, last = ("input_blocks.%d.0"):format((level + 1) * step), level * step + at.blocks
  local grow = growth(p, last)
  if not grow then p:refuse("output_blocks.%d ends a level, but it doesn't change the size of its image", last) end
  local kind, conv = at.resnets and "resnet" or "plain", at.resnets and "" or ".conv"
  list[#list + 1] = { at.resnets and shrink or shrink .. ".op", down .. ".downsamplers.0" .. conv, kind }
  list[#list + 1] = { grow .. conv, up .. ".upsamplers.0" .. conv, kind }
end

--- The parts of a network.
---@param p table a plan
---@param at table from blocks.layout
---@return table[] stems {their stem, diffusers' stem, kind}: the kind is nil, "plain", "resnet" or "attention"
function blocks.stems(p, at)
  local list = table.move(FIXED, 1, #FIXED, 1, {})
  local step = at.blocks + 1
  for level = 0, at.n - 1 do
    local down, up = ("down_blocks.%d"):format(level), ("up_blocks.%d"):format(level)
    for j = 0, at.blocks do
      if j < at.blocks then add_block(p, list, ("input_blocks.%d"):format(1 + level * step + j), down, j) end
      add_block(p, list, ("output_blocks.%d"):format(level * step + j), up, j)
    end
    if level < at.n - 1 then add_sizes(p, list, at, level, down, up) end
  end
  return list
end

-- ==== tensors ============================================================================

local RESNET = { { "in_layers.0", "norm1" }, { "in_layers.2", "conv1" }, { "emb_layers.1", "time_emb_proj" },
  { "out_layers.0", "norm2" }, { "out_layers.3", "conv2" }, { "skip_connection", "conv_shortcut" } }

--- Moves the tensors of a stem from `left` to `out` under another one.
---@param left table<string, any>
---@param out table<string, any>
---@param from string
---@param to string
function blocks.move(left, out, from, to)
  for _, kind in ipairs { "weight", "bias" } do
    local key = from .. "." .. kind
    out[to .. "." .. kind], left[key] = left[key], nil
  end
end

--- Moves everything below a stem from `left` to `out`. The rest of a key stays.
---@param left table<string, any>
---@param out table<string, any>
---@param from string
---@param to string
function blocks.move_below(left, out, from, to)
  for key, x in pairs(left) do
    if key:sub(1, #from + 1) == from .. "." then out[to .. key:sub(#from + 1)], left[key] = x, nil end
  end
end

--- Tensors by diffusers' keys. Keys that are left keep their names, and are found to be unexpected.
---@param p table a plan
---@param list table[] from blocks.stems
---@param attention fun(left: table, out: table, from: string, to: string) moves an attention
---@return table<string, any>
function blocks.tensors(p, list, attention)
  local left, out = {}, {}
  for key, x in pairs(p.tensors) do left[key] = x end
  for _, one in ipairs(list) do
    local from, to, kind = table.unpack(one)
    if kind == "attention" then attention(left, out, from, to)
    elseif kind == "resnet" then
      for _, pair in ipairs(RESNET) do blocks.move(left, out, from .. "." .. pair[1], to .. "." .. pair[2]) end
    else blocks.move(left, out, from, to) end
  end
  for key, x in pairs(left) do out[key] = x end
  return out
end

return blocks
