-- Blocks of diffusers' UNets in which pixels attend to a context, written as lists: a Transformer2DModel, and
-- the attention of Simple blocks. `names` has their names there.
local transformer2d = {}

-- An identity keeps a name from the rules of other blocks, which are shorter.
transformer2d.names = {
  { "attentions.*.inp.norm", "attentions.*.norm" },
  { "transformer_blocks.*.norm1", "transformer_blocks.*.norm1" },
  { "transformer_blocks.*.norm2", "transformer_blocks.*.norm2" },
}
for _, part in ipairs { { "q", "to_q" }, { "k", "to_k" }, { "v", "to_v" }, { "out", "to_out.0" } } do
  for _, which in ipairs { "attn1", "attn2" } do
    local path = "transformer_blocks.*." .. which .. "."
    table.insert(transformer2d.names, { path .. part[1], path .. part[2] })
  end
end

local EPSILON = 1e-6 -- that of the norm in front of the transformer blocks

local function attention(b, part, inputs, o)
  return b:attention(part, inputs, { heads = o.heads, qkv_bias = false, fused = false })
end

-- x += attn1(norm1(x)); x += attn2(norm2(x), context); x += ff(norm3(x)). With o.only_cross the first attention
-- is to the context too, and no mask hides a part of it.
local function basic(net, path, inputs, o)
  local options = { name = "transformer_block", text = ("%d, heads %d"):format(inputs[1].width, o.heads),
    recompute = o.recompute }
  return net:block(path, inputs, options, function(b, x, context, mask)
    local y = b:layer_norm("norm1", x)
    x = b:add { attention(b, "attn1", o.only_cross and { y, context } or y, o), x }
    x = b:add { attention(b, "attn2", { b:layer_norm("norm2", x), context, mask }, o), x }
    y = b:geglu(b:linear("ff.net.0.proj", b:layer_norm("norm3", x), { out = 8 * x.width }))
    return b:add { b:linear("ff.net.2", y, { out = x.width }), x }
  end)
end

-- The products before and behind the blocks are of tokens, or of pixels as convolutions.
local function enter(b, x, o)
  local y = b:group_norm("inp.norm", x, { groups = o.groups, epsilon = EPSILON })
  if o.linear then return b:linear("proj_in", b:tokens(y), { out = o.inner }) end
  return b:tokens(b:conv("proj_in", y, { out = o.inner, kernel = 1, pad = 0 }))
end

local function leave(b, y, x, o)
  if o.linear then return b:add { b:pixels { b:linear("proj_out", y, { out = x.width }), x }, x } end
  return b:conv("proj_out", { b:pixels { y, x }, x }, { out = x.width, kernel = 1, pad = 0 })
end

--- h + a Transformer2DModel of h. o is {heads, inner = width of the tokens, groups, depth = number of its blocks,
--- linear = products of tokens instead of convolutions, only_cross, recompute}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param context diffusion.value
---@param mask diffusion.value
---@param o table
---@return diffusion.value
function transformer2d.transformer(net, path, h, context, mask, o)
  local options = { name = "transformer", text = ("%d, heads %d, depth %d"):format(h.width, o.heads, o.depth) }
  return net:block(path, { h, context, mask }, options, function(b, x, c, m)
    local y = enter(b, x, o)
    for i = 0, o.depth - 1 do y = basic(b, ("transformer_blocks.%d"):format(i), { y, c, m }, o) end
    return leave(b, y, x, o)
  end)
end

-- The context as the keys and values of a Simple block read it.
local function normed(b, context, o)
  if o.cross_norm == "layer_norm" then return b:layer_norm("norm_cross", context) end
  if o.cross_norm == "group_norm" then return b:group_norm("norm_cross", context, { groups = 32 }) end
  return context
end

-- Makes the keys or values of the context, in front of those of the tokens.
local function both(b, part, name, context, y, o)
  local added = b:linear(("add_%s_proj"):format(name), context, { out = o.inner })
  if o.only_cross then return added end
  return b:join { added, b:linear(part .. "." .. name, y, { out = o.inner }) }
end

--- h + attention(norm(h)) to the context and, unless o.only_cross, to itself. o is {heads, inner = width of q, k
--- and v, groups, only_cross, cross_norm = "layer_norm", "group_norm" or nil, recompute}.
---@param net diffusion.net
---@param path string
---@param h diffusion.value
---@param context diffusion.value
---@param mask diffusion.value
---@param o table
---@return diffusion.value
function transformer2d.added(net, path, h, context, mask, o)
  local options = { name = "attention", text = ("%d, heads %d"):format(h.width, o.heads), recompute = o.recompute }
  return net:block(path, { h, context, mask }, options, function(b, x, c, m)
    local y = b:tokens(b:group_norm("norm", x, { groups = o.groups }))
    c = normed(b, c, o)
    local q = b:linear("attention.q", y, { out = o.inner })
    local k, v = both(b, "attention", "k", c, y, o), both(b, "attention", "v", c, y, o)
    y = b:attend({ q, k, v, m }, { heads = o.heads, own = not o.only_cross })
    return b:add { b:pixels { b:linear("attention.out", y, { out = x.width }), x }, x }
  end)
end

return transformer2d
