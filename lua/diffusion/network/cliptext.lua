-- CLIPTextModel and CLIPTextModelWithProjection of transformers are the text encoder of Radford et al.
-- 2021. Parameters have the paths of those classes, without the prefix of the text model.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.nn.family"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local layers = require "diffusion.nn.layers"
local module = require "diffusion.nn.module"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"

local clip = { name = "cliptext" }

local LEGACY_EOS = 2 -- an id that configs had before 2023, when the end was the largest id of a text

local function named(act) return function(b, h) return b:activation(h, { act = act }) end end
local function exact(b, h) return b:gelu(h) end
local function by_tanh(b, h) return b:gelu(h, { by = "tanh" }) end

-- The activations of transformers by name. Some names are of one function that is computed in several ways.
local acts = {
  quick_gelu = function(b, h) return b:quick_gelu(h) end,
  gelu = exact, gelu_python = exact,
  gelu_new = by_tanh, gelu_fast = by_tanh, gelu_accurate = by_tanh, gelu_pytorch_tanh = by_tanh,
  gelu_python_tanh = by_tanh,
  silu = named "silu", swish = named "silu", relu = named "relu", mish = named "mish", tanh = named "tanh",
  linear = function(_, h) return h end,
}

local function id(default, text) return { "integer", default = default, min = -1, max = 1 << 20, text = text } end

clip.options = family.declare(clip.name, {
  vocab_size = family.size(49408, 1, "rows of the table of tokens"),
  hidden_size = family.size(512, 1, "width of a token"),
  intermediate_size = family.size(2048, 1, "width inside of the feed-forward part"),
  projection_dim = family.size(512, 1, "width of the projected text"),
  num_hidden_layers = family.count(12, "number of layers"),
  num_attention_heads = family.size(8, 1, "number of heads of each attention"),
  max_position_embeddings = family.size(77, 1, "tokens of a text at most"),
  hidden_act = { one_of = opts.names(acts), default = "quick_gelu", text = "activation of the feed-forward part" },
  layer_norm_eps = { "number", default = 1e-5, above = 0, text = "added to the variance by the norms" },
  attention_dropout = family.kept { "number", default = 0, min = 0, max = 1,
    text = "attention has no dropout here" },
  initializer_range = family.kept { "number", default = 0.02, text = "that class doesn't read it" },
  initializer_factor = { "number", default = 1, above = 0, text = "factor of the tables' first values" },
  pad_token_id = family.kept(id(1, "the tokenizer pads")),
  bos_token_id = family.kept(id(49406, "the tokenizer begins a text")),
  eos_token_id = id(49407, "the token that ends a text; 2 stands for the largest id of each text"),
  projection = { "boolean", default = false, text = "CLIPTextModelWithProjection: the pooled state is projected" },
  recompute = family.recompute,
})

function clip.check(o)
  if o.hidden_size % o.num_attention_heads ~= 0 then
    family.fail("cliptext: hidden_size %d isn't a multiple of num_attention_heads, %d", o.hidden_size,
      o.num_attention_heads)
  end
end

function clip.text(o)
  return ("vocabulary %d, width %d, heads %d, depth %d%s"):format(o.vocab_size, o.hidden_size, o.num_attention_heads,
    o.num_hidden_layers, o.projection and (", projection %d"):format(o.projection_dim) or "")
end

-- ==== lists ==============================================================================

-- Tables start with the deviation that those classes have.
local function within(o) return math.sqrt(3) * 0.02 * o.initializer_factor end

-- Ids from 1, and the vectors of tokens that were added: 0 is a token of the other.
local function embeddings(o)
  local function build(net)
    local h = net:embedding("token_embedding", net.ids, { inp = o.vocab_size, out = o.hidden_size, within = within(o) })
    return net:positions("position_embedding", net:add { h, net.added },
      { rows = o.max_position_embeddings, within = within(o) })
  end
  return { name = "embeddings", text = ("%d, %d"):format(o.vocab_size, o.hidden_size), build = build,
    inputs = { { "ids", shape = { "B", "N" }, whole = true },
      { "added", shape = { "B", "N", o.hidden_size }, optional = true } } }
end

-- h = x + attention(norm(x)), then h + linear(act(linear(norm(h))))
local function layer(o)
  local norm = { epsilon = o.layer_norm_eps }
  local function build(net)
    local y = net:attention("self_attn", net:layer_norm("layer_norm1", net.x, norm),
      { heads = o.num_attention_heads, fused = false, causal = true })
    local h = net:add { net.x, y }
    y = net:linear("mlp.fc1", net:layer_norm("layer_norm2", h, norm), { out = o.intermediate_size })
    return net:add { h, net:linear("mlp.fc2", acts[o.hidden_act](net, y), { out = o.hidden_size }) }
  end
  return { name = "clip_layer", text = ("%d, heads %d"):format(o.hidden_size, o.num_attention_heads), build = build,
    inputs = { { "x", shape = { "B", "N", o.hidden_size } } } }
end

local Layers = module.module("layers", function(m, o, list)
  for i = 0, o.num_hidden_layers - 1 do m[tostring(i)] = list(layer(o)) end
end)

local Encoder = module.module("encoder", function(m, o, list) m.layers = Layers(o, list) end)

function clip.compose(m, o, list)
  m.embeddings = list(embeddings(o))
  m.encoder = Encoder(o, list)
  m.final_layer_norm = layers.layer_norm(o.hidden_size, { epsilon = o.layer_norm_eps })
  if o.projection then m.text_projection = layers.linear(o.hidden_size, o.projection_dim, { bias = false }) end
  m.added = {}
end

-- ==== tokens =============================================================================

--- A text encoder, as d.cliptext makes it. Called with ids of tokens, it returns the tokens' states and
--- one pooled state a text.
---@class diffusion.cliptext: diffusion.model
---@field embeddings diffusion.layer ids from 1 to tokens with their positions
---@field encoder table its layers, the fields "0", "1" and so on of encoder.layers
---@field final_layer_norm diffusion.layer
---@field text_projection diffusion.layer|nil projects pooled states
---@field added diffusion.tensor[] rows of the tokens that add_tokens added
local methods = {}
clip.methods = methods

-- The number of tokens, with those that were added.
local function vocabulary(m)
  local n = m:config().vocab_size
  for _, rows in ipairs(m.added) do n = n + rows:size(1) end
  return n
end

local function check_ids(where, m, ids)
  local n = vocabulary(m)
  local outside = ids:lt(0):maximum(ids:ge(n)):flatten()
  if ids:numel() > 0 and outside:max():item() ~= 0 then
    fail.raise("%s: id %d is %d, but there are the tokens 0 to %d", where, outside:argmax():item(),
      ids:flatten()[outside:argmax():item()], n - 1)
  end
  return ids
end

local function ids_of(where, m, ids) return check_ids(where, m, fail.call(core.whole, where .. ": ids", ids)) end

-- ids from `first` on that lie within n, counted from 1; 0 for others.
local function places(ids, first, n)
  local at = ids - (first - 1)
  return core.ops.where(at:ge(1):minimum(at:le(n)), at, 0)
end

-- The vectors of added tokens, zeros for others; nil if none were added.
local function added_of(m, ids)
  local first, sum = m:config().vocab_size, nil
  for _, rows in ipairs(m.added) do
    local y = fail.call(core.ops.embedding, places(ids, first, rows:size(1)), rows)
    sum, first = sum and sum + y or y, first + rows:size(1)
  end
  return sum
end

local function own_of(m, ids) return places(ids, 0, m:config().vocab_size) end

--- Vectors of tokens, without positions.
---@param ids integer[]|diffusion.tensor whole numbers from 0, of any shape
---@return diffusion.tensor vectors {..., width}
function methods.embed(m, ids)
  return gradient.scope(function()
    ids = ids_of("cliptext:embed", m, ids)
    local weight = m.embeddings.token_embedding.weight
    local y, added = fail.call(core.ops.embedding, own_of(m, ids), weight), added_of(m, ids)
    return added and y + added or y
  end)
end

--- Adds tokens, as textual inversion does (Gal et al. 2022). A saved model has them in its table. The
--- rows are not copied. So rows that are parameters of another model train with it.
---@param rows diffusion.tensor {n, width}
---@return integer[] ids of the new tokens
function methods.add_tokens(m, rows)
  local width = m:config().hidden_size
  if not core.is_tensor(rows) or rows:dim() ~= 2 or rows:size(2) ~= width then
    fail.raise("cliptext:add_tokens: rows are a tensor {n, %d}, got %s", width,
      core.is_tensor(rows) and kind.shape_text(rows) or kind.shown(rows))
  end
  opts.floats("cliptext:add_tokens", "rows", rows)
  local first, ids = vocabulary(m), {}
  m.added[#m.added + 1] = rows
  for i = 1, rows:size(1) do ids[i] = first + i - 1 end
  return ids
end

--- A file holds the table with the rows that were added. Added ids are larger than that of the end, so the end
--- is named.
function clip.stored(m, state, config)
  if #m.added == 0 then return state, config end
  if config.eos_token_id == LEGACY_EOS then config.eos_token_id = config.vocab_size - 1 end
  local name = "embeddings.token_embedding.weight"
  local parts = { state[name]:detach() }
  for i, rows in ipairs(m.added) do parts[i + 1] = rows:detach():to(parts[1]:dtype()) end
  state[name] = core.ops.cat(parts, 1)
  config.vocab_size = state[name]:size(1)
  return state, config
end

-- ==== the call ===========================================================================

-- The place of the token that ends each text, {B}. The first of equal ones counts.
local function ends(m, ids)
  local o = m:config()
  if o.eos_token_id ~= LEGACY_EOS then return ids:eq(o.eos_token_id):argmax(2) end
  return own_of(m, ids):argmax(2)
end

-- Rows of h {B, N, D} at one place of each text.
local function rows_at(h, at)
  local B, N, D = table.unpack(h:shape())
  local first = core.arange(0, B - 1) * N
  return fail.call(core.ops.embedding, at + first, h:reshape(B * N, D))
end

local call_rules = opts.declare("cliptext_call", {
  skip = { "integer", default = 0, min = 0, text = "number of last layers that the states leave out" },
  norm = { "boolean", default = true, text = "the final norm is applied to the states" },
})

local function check_call(m, ids, o)
  local c = m:config()
  if o.skip > c.num_hidden_layers then
    fail.raise("cliptext: skip is %d, but the network has %d layers", o.skip, c.num_hidden_layers)
  end
  if ids:dim() ~= 2 or ids:numel() == 0 then
    fail.raise("cliptext: ids are {B, N}, a text or more of a token or more, got %s", kind.shape_text(ids))
  end
  if ids:size(2) > c.max_position_embeddings then
    fail.raise("cliptext: a text has %d tokens, at most %d fit", ids:size(2), c.max_position_embeddings)
  end
end

local function through(m, h, skip)
  local o = m:config()
  local kept
  for i = 0, o.num_hidden_layers - 1 do
    if i == o.num_hidden_layers - skip then kept = h end
    local one = m.encoder.layers[tostring(i)]
    local run = o.recompute and gradient.recompute(function(x) return one(x) end) or one
    h = fail.call(run, h)
  end
  return h, kept or h
end

local function encoded(m, ids, o)
  local h, states = through(m, fail.call(m.embeddings, own_of(m, ids), added_of(m, ids)), o.skip)
  if o.norm then states = m.final_layer_norm(states) end
  local pooled = m.final_layer_norm(rows_at(h, ends(m, ids)))
  return states, m.text_projection and m.text_projection(pooled) or pooled
end

--- States of tokens after a layer, and one pooled state a text. That is the state of the token that ends
--- the text, after all layers, with the final norm. A model with projection projects it.
---@param ids integer[][]|diffusion.tensor {B, N}, whole numbers from 0 as a tokenizer gives them
---@param options diffusion.cliptext_call_options?
---@return diffusion.tensor states {B, N, width}
---@return diffusion.tensor pooled {B, width}, or {B, projection_dim}
function clip.forward(m, ids, options)
  local o = opts.check("cliptext", options, call_rules, 2)
  ids = ids_of("cliptext", m, ids)
  check_call(m, ids, o)
  return gradient.scope(encoded, m, ids, o)
end

-- ==== transformers =======================================================================

local ours = { "projection", "recompute" }

-- A number that may be fractional must have a point there.
local function config_of(o)
  local config = peers.config(clip, { ours = ours }, o)
  for name, rule in pairs(clip.options) do
    if rule[1] == "number" then config[name] = config[name] + 0.0 end
  end
  return config
end

clip.peers = { diffusers = {
  class = "CLIPTextModel", also = { CLIPTextModelWithProjection = { projection = true } }, library = "transformers",
  ours = ours, config = config_of,
  names = {
    { "embeddings", "text_model.embeddings" }, { "encoder", "text_model.encoder" },
    { "final_layer_norm", "text_model.final_layer_norm" }, { "self_attn.q", "self_attn.q_proj" },
    { "self_attn.k", "self_attn.k_proj" }, { "self_attn.v", "self_attn.v_proj" },
    { "self_attn.out", "self_attn.out_proj" },
  },
  ignored = { "position_ids" },
  others = { "text_projection", "vision_model", "visual_projection", "logit_scale" },
} }

--- CLIPTextModel of transformers, by the options of its config, or CLIPTextModelWithProjection. It is
--- the text encoder of Stable Diffusion. Called with ids {B, N}, it returns states and pooled states.
---@param options diffusion.cliptext_options?
---@return diffusion.cliptext
---@usage local model = d.cliptext{ vocab_size = 100, hidden_size = 16, intermediate_size = 32,
---   num_hidden_layers = 2, num_attention_heads = 2, eos_token_id = 99 }
--- local states, pooled = model({ { 98, 5, 17, 99, 99 } }, { skip = 1 })
--- print(states, pooled)
function clip.new(options) return family.model(clip, options) end

return clip
