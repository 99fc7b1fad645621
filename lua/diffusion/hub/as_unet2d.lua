-- d.unet as UNet2DModel of diffusers, where its shape allows. That network gets the timestep t - 1.
-- The pair cos(t f), sin(t f) is that of (t - 1) f turned by the angle f. The weights of the first layer
-- of time are turned back, so both networks have the same output.
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"

local as_unet2d = {}

-- The groups of a norm of C channels, as the core chooses them: the largest divisor up to 32 that
-- leaves 4 channels each.
local function groups_for(C)
  for g = math.min(32, C // 4), 2, -1 do
    if C % g == 0 then return g end
  end
  return 1
end

-- The widths of all norms: of the blocks' results, and of what the blocks on the way up get.
local function widths_of(o)
  local set, skips, h = {}, { o.channels }, o.channels
  for level, mult in ipairs(o.mult) do
    set[h] = true
    h = o.channels * mult
    set[h] = true
    for _ = 1, o.blocks + (level < #o.mult and 1 or 0) do skips[#skips + 1] = h end
  end
  for level = #o.mult, 1, -1 do
    for _ = 1, o.blocks + 1 do
      set[h + table.remove(skips)] = true
      h = o.channels * o.mult[level]
    end
  end
  return set
end

-- The number of groups that all norms have, or nil and two that differ.
local function common_groups(o)
  if o.groups then return o.groups end
  local first, at
  local widths = {}
  for C in pairs(widths_of(o)) do widths[#widths + 1] = C end
  table.sort(widths)
  for _, C in ipairs(widths) do
    local g = groups_for(C)
    first, at = first or g, at or C
    if g ~= first then return nil, ("%d at %d channels and %d at %d"):format(first, at, g, C) end
  end
  return first
end

-- Whether there is attention at a level, counted from 1.
local function attends(o, level)
  for _, at in ipairs(o.attention) do
    if at == 1 << level - 1 then return true end
  end
  return false
end

-- The width of a head, the same in all attentions. nil stands for one head.
local function head_width(o)
  if o.heads == 1 then return nil end
  local width = o.channels * o.mult[#o.mult]
  for level, mult in ipairs(o.mult) do
    if attends(o, level) and o.channels * mult ~= width then return nil, o.channels * mult, width end
  end
  return width // o.heads
end

-- Why a network can't be a UNet2DModel, or nil.
local function misfit(o)
  if o.self_condition then return "it has self_condition, and UNet2DModel has no input for its last x0" end
  if o.mult[1] ~= 1 then
    return ("mult begins with %d, and UNet2DModel has no first width apart from that of its first level"):format(
      o.mult[1])
  end
  local _, differ = common_groups(o)
  if differ then
    return ("its norms have groups %s, and UNet2DModel has one number for all, as groups = 8 makes it"):format(differ)
  end
  local _, one, other = head_width(o)
  if one then
    return ("its %d heads are of different widths at %d and %d channels, and UNet2DModel has one width for all"):format(
      o.heads, one, other)
  end
end

local function list_of(n, fn)
  local out = {}
  for i = 1, n do out[i] = fn(i) end
  return out
end

--- The config there of a network.
---@param o table the network's config
---@return table<string, any>|nil config nil with a sentence if it can't be a UNet2DModel
---@return string|nil message
function as_unet2d.config(o)
  local why = misfit(o)
  if why then return nil, why end
  local n, H, W, C = #o.mult, table.unpack(o.image)
  local function kind(level, name) return (attends(o, level) and "Attn" or "") .. name end
  return {
    sample_size = H == W and H or { H, W }, in_channels = C, out_channels = o.outputs * C,
    block_out_channels = list_of(n, function(i) return o.channels * o.mult[i] end),
    down_block_types = list_of(n, function(i) return kind(i, "DownBlock2D") end),
    up_block_types = list_of(n, function(i) return kind(n + 1 - i, "UpBlock2D") end),
    layers_per_block = o.blocks, dropout = o.dropout + 0.0, norm_num_groups = common_groups(o), norm_eps = 1e-5,
    attention_head_dim = head_width(o) or json.null, num_class_embeds = o.classes > 0 and o.classes + 1 or nil,
  }
end

-- ---- tensors ------------------------------------------------------------------------------------

-- Class 0 stands for none. There a row behind those of the classes does, and it is zero.
local function with_none(rows) return core.ops.cat({ rows, core.zeros(1, rows:size(2)) }, 1) end

-- The query, key and value apart, as layers there.
local function apart(out, name, x)
  local path, last = name:match "^(.*%.attention)%.qkv%.(%w+)$"
  if not path then
    out[name] = x
    return
  end
  local width = x:size(1) // 3
  for i, one in ipairs { "q", "k", "v" } do
    out[("%s.%s.%s"):format(path, one, last)] = x:narrow(1, (i - 1) * width + 1, width)
  end
end

--- The tensors there of a network's values.
---@param o table the network's config
---@param entry table peers.diffusers of the family
---@param state table<string, diffusion.tensor>
---@return table<string, diffusion.tensor>
function as_unet2d.tensors(o, entry, state)
  local out, names = {}, entry.levels(o)
  for _, pair in ipairs(entry.names) do names[#names + 1] = pair end
  for name, x in pairs(state) do
    if entry.turned[name] then x = entry.turned[name](x) elseif name == "time.class.weight" then x = with_none(x) end
    apart(out, name, x)
  end
  return peers.saved({ class = entry.class, names = names }, out)
end

return as_unet2d
