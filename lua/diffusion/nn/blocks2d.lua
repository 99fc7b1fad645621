-- Blocks of diffusers' UNets, written as lists. Each is one step with a path: b.resnet is a
-- ResnetBlock2D, b.conditioned a ResnetBlockCondNorm2D, b.attention an Attention of 2022's kind,
-- b.self_attention a KAttentionBlock. `names` has their names there.
local blocks = {}

blocks.names = {
  { "one.norm", "norm1" }, { "one.conv", "conv1" }, { "embed", "time_emb_proj" },
  { "two.norm", "norm2" }, { "two.conv", "conv2" }, { "skip", "conv_shortcut" },
  { "embed.one", "norm1.linear" }, { "embed.two", "norm2.linear" },
  { "attentions.*.norm", "attentions.*.group_norm" }, { "cross.norm", "attn2.norm_cross" },
  { "attention.q", "to_q" }, { "attention.k", "to_k" }, { "attention.v", "to_v" }, { "attention.out", "to_out.0" },
}
for _, part in ipairs { { "q", "to_q" }, { "k", "to_k" }, { "v", "to_v" }, { "out", "to_out.0" } } do
  for _, which in ipairs { { "self", "attn1" }, { "cross", "attn2" } } do
    table.insert(blocks.names, { which[1] .. ".attention." .. part[1], which[2] .. "." .. part[2] })
  end
end

-- Names of before diffusers 0.12.
blocks.older = { { "query", "to_q" }, { "key", "to_k" }, { "value", "to_v" }, { "proj_attn", "to_out.0" } }

local FIR = { fir_shrink = { down = 2, before = 1, after = 1 }, fir_enlarge = { up = 2, before = 2, after = 1 },
  k_shrink = { down = 2, before = 1, after = 1, reflect = true },
  k_enlarge = { up = 2, before = 2, after = 1, reflect = true } }

--- Halves or doubles an image. `how` is "shrink" or "enlarge" by single pixels, "fir_shrink" and
--- "fir_enlarge" by a filter of four taps, "k_shrink" and "k_enlarge" with mirrored borders.
---@param b diffusion.net
---@param how string
---@param x diffusion.value
---@return diffusion.value
function blocks.resample(b, how, x)
  if how == "shrink" then return b:avg_pool(x) end
  if how == "enlarge" then return b:enlarge(x) end
  return b:fir(x, FIR[how])
end

local function scaled(b, x, o)
  if o.rescale == nil or o.rescale == 1 then return x end
  return b:scale(x, { factor = 1 / o.rescale })
end

local function shortcut(b, x, o)
  if x.width == o.out and not o.shortcut then return x end
  return b:conv("skip", x, { out = o.out, kernel = 1, pad = 0, bias = o.shortcut_bias ~= false })
end

-- The first half, conv(act(norm(x))), and x itself; both may be resampled.
local function first_half(b, x, o)
  local norm = { groups = o.groups, epsilon = o.epsilon, act = o.act }
  if not o.resample then
    norm.out = o.out
    return b:norm_conv("one", x, norm), x
  end
  local h = blocks.resample(b, o.resample, b:group_norm("one.norm", x, norm))
  return b:conv("one.conv", h, { out = o.out }), blocks.resample(b, o.resample, x)
end

local function facts(name, from, to, o)
  return { name = name, text = ("%d -> %d"):format(from, to), recompute = o.recompute }
end

--- h = conv(act(norm(x))); y = (conv(act(norm(h + linear(e)))) + skip(x)) / rescale. With o.modulated,
--- linear(e) scales and shifts the second norm instead. o is {out, groups, groups_out, epsilon, act,
--- dropout, modulated, rescale, resample, shortcut = a 1x1 convolution in any case, recompute}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param e diffusion.value activated embedding
---@param o table
---@return diffusion.value
function blocks.resnet(net, path, h, e, o)
  return net:block(path, { h, e }, facts("resnet", h.width, o.out, o), function(b, x, embedding)
    local y, skip = first_half(b, x, o)
    local m = b:linear("embed", embedding, { out = (o.modulated and 2 or 1) * o.out })
    local inputs = { y, shortcut(b, skip, o), not o.modulated and m, o.modulated and m }
    return scaled(b, b:norm_conv("two", inputs, { inp = o.out, out = o.out, groups = o.groups_out or o.groups,
      epsilon = o.epsilon, act = o.act, dropout = o.dropout }), o)
  end)
end

--- A resnet whose norms have no weights: each is scaled and shifted by a product of e. o is {inner, out,
--- groups, groups_out, epsilon, act, dropout, recompute}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param e diffusion.value embedding
---@param o table
---@return diffusion.value
function blocks.conditioned(net, path, h, e, o)
  local function half(b, part, inputs, m, p)
    local norm = { inp = inputs[1].width, epsilon = o.epsilon, act = o.act, affine = false, groups = p.groups,
      out = p.out, dropout = p.dropout }
    return b:norm_conv(part, { inputs[1], inputs[2] or false, false, m }, norm)
  end
  return net:block(path, { h, e }, facts("resnet", h.width, o.out, o), function(b, x, embedding)
    local one = b:linear("embed.one", embedding, { out = 2 * x.width })
    local y = half(b, "one", { x }, one, { groups = o.groups, out = o.inner })
    local two = b:linear("embed.two", embedding, { out = 2 * o.inner })
    local skip = shortcut(b, x, { out = o.out, shortcut_bias = false })
    return half(b, "two", { y, skip }, two, { groups = o.groups_out, out = o.out, dropout = o.dropout })
  end)
end

--- (x + attention(norm(x))) / rescale. o is {heads, inner, groups or false for no norm, epsilon, rescale,
--- recompute}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param o table
---@return diffusion.value
function blocks.attention(net, path, h, o)
  local options = { name = "attention", text = ("%d, heads %d"):format(h.width, o.heads), recompute = o.recompute }
  return net:block(path, h, options, function(b, x)
    local y = o.groups and b:group_norm("norm", x, { groups = o.groups, epsilon = o.epsilon }) or x
    y = b:attention("attention", y, { heads = o.heads, inner = o.inner, fused = false })
    return scaled(b, b:add { y, x }, o)
  end)
end

-- x + attention(norm(x)), or to a context; the norm is scaled and shifted by a product of e.
local function attend(b, part, product, x, embedding, o, context)
  local m = b:linear(product, embedding, { out = 2 * x.width })
  local y = b:group_norm({ x, false, m }, { inp = x.width, groups = o.groups, affine = false })
  y = b:attention(part, context and { y, context, o.mask } or y, { heads = o.heads, inner = o.inner, fused = false })
  return b:add { y, x }
end

--- Adds attention twice if o.twice, else once. The tokens attend to each other, then to the context. Without a
--- context the second is as the first, and its norm for a context isn't used. o is {heads, inner, groups, twice,
--- recompute, context, mask = values or nil}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param e diffusion.value embedding
---@param o table
---@return diffusion.value
function blocks.self_attention(net, path, h, e, o)
  local options = { name = "attention", text = ("%d, heads %d"):format(h.width, o.heads), recompute = o.recompute }
  return net:block(path, { h, e, o.context, o.mask }, options, function(b, x, embedding, context, mask)
    local given = { heads = o.heads, inner = o.inner, groups = o.groups, mask = mask }
    if o.twice then x = attend(b, "self.attention", "embed.one", x, embedding, given) end
    local normed = context and b:layer_norm("cross.norm", context)
    local y = attend(b, "cross.attention", "embed.two", x, embedding, given, normed)
    if not context then b:layer_norm("cross.norm", x) end
    return y
  end)
end

return blocks
