-- The embedding and the context of a UNet of diffusers that is conditioned on texts and pictures, as lists. The
-- options are those of UNet2DConditionModel.
local embed2d = {}

-- ==== activations and products ===========================================================

local ACTS = { silu = "silu", swish = "silu", mish = "mish", gelu = "gelu", relu = "relu" }

--- The activation of a name in the peer, or nil.
---@param name string
---@return string|nil
function embed2d.act(name) return ACTS[name:lower()] end

--- linear(act(linear(h))), a TimestepEmbedding.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param o table {out, act = "silu" if nil, inp = width of h, if it isn't known}
---@return diffusion.value
function embed2d.two_products(net, path, h, o)
  h = net:activation(net:linear(path .. ".one", h, { inp = o.inp, out = o.out }), { act = o.act or "silu" })
  return net:linear(path .. ".two", h, { out = o.out })
end

local function order(o) return o.flip_sin_to_cos and "cos_sin" or "sin_cos" end

--- Waves of numbers, as PyTorch rounds them.
---@param net diffusion.net
---@param t diffusion.value
---@param width integer
---@param o table options flip_sin_to_cos and freq_shift
---@param offset number subtracted from t
---@return diffusion.value
function embed2d.waves(net, t, width, o, offset)
  return net:sinusoid(t, { width = width, shift = o.freq_shift, offset = offset, single = true, order = order(o) })
end

-- ==== added embeddings ====================================================================

local PATH = "add_embedding"

local function linear_norm(net, part, x, width)
  local y = net:linear(("%s.%s_proj"):format(PATH, part), x, { out = width })
  return net:layer_norm(("%s.%s_norm"):format(PATH, part), y)
end

-- A TextTimeEmbedding of the context.
local function text(net, o, width)
  local y = net:layer_norm(PATH .. ".one.norm", net.context)
  y = net:attention_pool(PATH .. ".pool", y, { heads = o.addition_embed_type_num_heads })
  return net:layer_norm(PATH .. ".two.norm", net:linear(PATH .. ".proj", y, { out = width }))
end

local function text_image(net, _, width)
  local y = linear_norm(net, "text", net.text_embeds, width)
  return net:add { net:linear(PATH .. ".image_proj", net.image_embeds, { out = width }), y }
end

local function text_time(net, o, width)
  local waves = embed2d.waves(net, net.time_ids, o.addition_time_embed_dim, o, 0)
  local all = net:cat { net.text_embeds, net:flatten(waves) }
  return embed2d.two_products(net, PATH, all, { inp = o.projection_class_embeddings_input_dim, out = width })
end

local function image(net, _, width) return linear_norm(net, "image", net.image_embeds, width) end

-- Channels of the convolutions of a hint, and those that halve it.
local HINT = { { 16 }, { 16 }, { 32, true }, { 32 }, { 96, true }, { 96 }, { 256, true }, { 4 } }

--- A picture of eight times the size, as four channels more of x.
---@param net diffusion.net
---@return diffusion.value
function embed2d.hint(net)
  local h = net.hint
  for i, one in ipairs(HINT) do
    h = i > 1 and net:silu(h) or h
    h = net:conv(("%s.input_hint_block.%d"):format(PATH, 2 * i - 2), h, { out = one[1], stride = one[2] and 2 or 1 })
  end
  return h
end

-- An input of one row a sample.
local function row(name, width) return { name, shape = { "B", width } } end

local hint_input = { "hint", shape = { "B", { "8 H", multiple = 8 }, { "8 W", multiple = 8 }, 3 } }

-- For each addition_embed_type: how it is written, its inputs, and the options that it needs.
local additions = {
  text = { write = text, inputs = function() return {} end },
  text_image = { write = text_image, needs = { "cross_attention_dim" }, inputs = function(o)
    return { row("text_embeds", o.cross_attention_dim), row("image_embeds", o.cross_attention_dim) }
  end },
  text_time = { write = text_time, needs = { "addition_time_embed_dim", "projection_class_embeddings_input_dim" },
    inputs = function() return { row("text_embeds", "P"), { "time_ids", shape = { "B", "K" }, whole = true } } end },
  image = { write = image, needs = { "encoder_hid_dim" },
    inputs = function(o) return { row("image_embeds", o.encoder_hid_dim) } end },
  image_hint = { write = image, needs = { "encoder_hid_dim" }, inputs = function(o)
    return { row("image_embeds", o.encoder_hid_dim), hint_input }
  end },
}

--- The facts of an addition_embed_type; empty if it is nil.
---@param o table
---@return table {write, inputs, needs}
function embed2d.addition(o) return additions[o.addition_embed_type] or { inputs = function() return {} end } end

-- ==== the context ========================================================================

local PROJECTION = "encoder_hid_proj"

-- A row of an image as n tokens.
local function image_tokens(net, n, width)
  return net:unflatten(net:linear(PROJECTION .. ".image_embeds", net.image_embeds, { out = n * width }), { pieces = n })
end

-- For each encoder_hid_dim_type: how the context is made, and its inputs.
local projections = {
  text_proj = { write = function(net, width) return net:linear(PROJECTION, net.context, { out = width }) end,
    inputs = function() return {} end },
  text_image_proj = {
    write = function(net, width)
      local text_tokens = net:linear(PROJECTION .. ".text_proj", net.context, { out = width })
      return net:join { image_tokens(net, 10, width), text_tokens }
    end,
    inputs = function(o) return { row("image_embeds", o.cross_attention_dim) } end,
  },
  image_proj = {
    write = function(net, width) return net:layer_norm(PROJECTION .. ".norm", image_tokens(net, 32, width)) end,
    inputs = function(o) return { row("image_embeds", o.encoder_hid_dim) } end, imaged = true,
  },
}

--- The kind of the projection of the context, nil if it is read as it is.
---@param o table
---@return string|nil
function embed2d.projection(o) return o.encoder_hid_dim_type or o.encoder_hid_dim and "text_proj" or nil end

--- The context that pixels attend to, of `width` channels.
---@param net diffusion.net
---@param o table
---@param width integer
---@return diffusion.value
function embed2d.context(net, o, width)
  local known = projections[embed2d.projection(o)]
  return known and known.write(net, width) or net.context
end

--- Whether the network reads an input `context`, if it `attends` to one.
---@param o table
---@param attends boolean
---@return boolean
function embed2d.reads_context(o, attends)
  local known = projections[embed2d.projection(o)]
  if o.addition_embed_type == "text" then return true end
  return not (known and known.imaged) and (known ~= nil or attends)
end

--- The inputs that the added embedding and the context read, without the context itself. Both may read one.
---@param o table
---@return table[]
function embed2d.inputs(o)
  local out, known = embed2d.addition(o).inputs(o), projections[embed2d.projection(o)]
  local more = known and known.inputs(o) or {}
  return table.move(more, 1, #more, #out + 1, out)
end

return embed2d
