-- The diffusion transformer of its authors (Peebles & Xie 2023) as DiTTransformer2DModel, in which each
-- block has the embedding of time and class. Here all blocks are windows on the one embedding.
local core = require "diffusion.core"
local family = require "diffusion.network.dittransformer2d"

local dit = { name = "dittransformer2d", title = "a network of DiT", mark = "blocks.0.adaLN_modulation.1.weight",
  entry = family.peers.diffusers, known = family }

local BLOCK = { { "attn.proj", "attn1.to_out.0" }, { "mlp.fc1", "ff.net.0.proj" }, { "mlp.fc2", "ff.net.2" },
  { "adaLN_modulation.1", "norm1.linear" } }
local EMBEDDING = { { "t_embedder.mlp.0", "timestep_embedder.linear_1" },
  { "t_embedder.mlp.2", "timestep_embedder.linear_2" },
  { "y_embedder.embedding_table", "class_embedder.embedding_table" } }
local OTHER = { { "x_embedder.proj", "pos_embed.proj" }, { "final_layer.adaLN_modulation.1", "proj_out_1" },
  { "final_layer.linear", "proj_out_2" } }

-- ==== tensors ============================================================================

local function copy(p, out, used, from, to)
  for _, kind in ipairs { "weight", "bias" } do
    local key = ("%s.%s"):format(from, kind)
    out[("%s.%s"):format(to, kind)], used[key] = p.tensors[key], true
  end
end

local function copy_block(p, out, used, i)
  local from, to = ("blocks.%d."):format(i), ("transformer_blocks.%d."):format(i)
  for _, pair in ipairs(BLOCK) do copy(p, out, used, from .. pair[1], to .. pair[2]) end
  for _, pair in ipairs(EMBEDDING) do copy(p, out, used, pair[1], to .. "norm1.emb." .. pair[2]) end
  for _, kind in ipairs { "weight", "bias" } do
    local key = ("%sattn.qkv.%s"):format(from, kind)
    local x = p.tensors[key]
    used[key] = true
    for k, name in ipairs { "to_q", "to_k", "to_v" } do
      local rows = x and x:size(1) // 3
      out[("%sattn1.%s.%s"):format(to, name, kind)] = x and x:narrow(1, 1 + (k - 1) * rows, rows)
    end
  end
end

-- A row of zeros for calls without a class.
local function with_row(table_of)
  return core.ops.cat({ table_of, core.zeros(1, table_of:size(2)):to(table_of:dtype()) }, 1)
end

local function tensors_of(p, o, rowless)
  local out, used = {}, { pos_embed = true }
  for _, pair in ipairs(OTHER) do copy(p, out, used, pair[1], pair[2]) end
  if rowless then
    local key = "y_embedder.embedding_table.weight"
    p.tensors[key] = with_row(p.tensors[key])
  end
  for i = 0, o.num_layers - 1 do copy_block(p, out, used, i) end
  for key, x in pairs(p.tensors) do
    if not used[key] then out[key] = x end
  end
  return out
end

-- ==== options ============================================================================

-- The file's table of places must be the one that is computed here. Some of its rows are compared.
local function check_places(p, width, side)
  local table_of = p.tensors.pos_embed
  if p:size("pos_embed", 1) ~= 1 or p:size("pos_embed", 3) ~= width or #p:shape "pos_embed" ~= 3 then
    p:refuse("its pos_embed isn't a table of rows of %d numbers", width)
  end
  for _, at in ipairs { { 0, 0 }, { 0, side - 1 }, { side // 2, 1 % side }, { side - 1, side // 3 } } do
    local row, column = at[1], at[2]
    local got = table_of[1][row * side + column + 1]:to("f32"):totable()
    for k = 0, width // 4 - 1 do
      local omega = 10000 ^ -(k / (width // 4))
      local want = { math.sin(column * omega), math.cos(column * omega), math.sin(row * omega), math.cos(row * omega) }
      for part = 1, 4 do
        if math.abs(got[(part - 1) * (width // 4) + k + 1] - want[part]) > 1e-3 then
          p:refuse "its pos_embed isn't the table of sines and cosines of DiT"
        end
      end
    end
  end
end

local function side_of(p, patches)
  local side = math.floor(patches ^ 0.5 + 0.5)
  if side * side ~= patches then p:refuse("its %d patches don't form a square", patches) end
  return side
end

local function options_of(p)
  local key = "x_embedder.proj.weight"
  local width, patch = p:size(key, 1), p:size(key, 3)
  local side = side_of(p, p:size("pos_embed", 2))
  check_places(p, width, side)
  local o = { in_channels = p:size(key, 2), patch_size = patch, sample_size = side * patch,
    num_layers = p:parts "blocks",
    out_channels = p:size("final_layer.linear.weight", 1) // (patch * patch), norm_eps = 1e-6, freq_shift = 0 }
  local heads = p:heads(width, "its blocks")
  o.num_attention_heads, o.attention_head_dim = heads, heads and width // heads
  return o
end

-- The table has a row for no class if classes were dropped in training. Returns true if it has none.
local function read_classes(p, o)
  local rows = p:size("y_embedder.embedding_table.weight", 1)
  local classes = p:ask "classes"
  o.num_embeds_ada_norm = classes
  if classes and classes ~= rows and classes ~= rows - 1 then
    p:refuse("its table has %d rows, so it has %d classes, or %d and a row for none; not %d", rows, rows, rows - 1,
      classes)
  end
  return classes == rows
end

--- Reads a network of DiT.
---@param p table a plan
---@return table {options, tensors, process}
function dit.read(p)
  local o = options_of(p)
  local rowless = read_classes(p, o)
  local learned = o.out_channels == 2 * o.in_channels
  return { options = o, tensors = function() return tensors_of(p, o, rowless) end,
    process = p:process { variance = learned and "learned_range" or nil } }
end

return dit
