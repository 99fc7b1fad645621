-- The diffusion transformer of Peebles & Xie 2023, section 3.2, with adaLN-Zero blocks.
local family = require "diffusion.nn.family"

local dit = { name = "dit" }

local EPSILON = 1e-6

dit.options = family.declare(dit.name, {
  image = family.image,
  patch = family.size(2, 1, "height and width of the pixels that become one token"),
  width = family.size(128, 4, "width of a token, a multiple of 4"),
  heads = family.size(4, 1, "number of heads of each attention"),
  depth = family.count(4, "number of blocks"),
  ratio = family.size(4, 1, "inner width of a block's two products, in multiples of `width`"),
  classes = family.classes,
  outputs = family.outputs,
  dropout = family.dropout,
  self_condition = family.self_condition,
  recompute = family.recompute,
})

function dit.check(o)
  local H, W = o.image[1], o.image[2]
  if o.width % 4 ~= 0 then
    family.fail("dit: width must be a multiple of 4, for a sine and a cosine of both places of a patch, got %d",
      o.width)
  end
  for _, side in ipairs { H, W } do
    if side % o.patch ~= 0 then
      family.fail("dit: image [%d,%d] can't be cut into patches of %d: H and W must be multiples of %d; %s",
        H, W, o.patch, o.patch, family.fitting(side, o.patch))
    end
  end
end

function dit.inputs(o)
  return family.inputs({ "B", { "H", multiple = o.patch }, { "W", multiple = o.patch }, o.image[3] }, o)
end

function dit.text(o)
  return ("image channels %d, patch %d, width %d, heads %d, depth %d"):format(
    o.image[3], o.patch, o.width, o.heads, o.depth)
end

-- m = linear(c), six pieces a1, s1, g1, a2, s2, g2:
--   h += g1 attention(norm(h) (1 + s1) + a1)
--   h += g2 two(dropout(gelu(one(norm(h) (1 + s2) + a2))))
-- The norms have no parameters. The linear of c starts at zero: the block is the identity.
local function block(net, i, h, c, o)
  local width = o.width
  local options = { name = "dit_block", text = ("%d, heads %d"):format(width, o.heads), recompute = o.recompute }
  return net:block("blocks." .. i, { h, c }, options, function(b, x, e)
    local m = b:per_token(b:linear("modulate", e, { out = 6 * width, init = "zero" }))
    local function modulated(y, at)
      return b:modulate({ b:layer_norm(y, { epsilon = EPSILON, affine = false }), m }, { at = at })
    end
    local y = b:attention("attention", modulated(x, 1), { heads = o.heads })
    x = b:gate({ x, y, m }, { at = 3 })
    y = b:gelu(b:linear("one", modulated(x, 4), { out = o.ratio * width }))
    y = b:linear("two", b:dropout("dropout", y, { dropout = o.dropout }), { out = width })
    return b:gate({ x, y, m }, { at = 6 })
  end)
end

-- Patches become tokens with fixed places (He et al. 2022). The last modulation and the last
-- product start at zero, so the network starts at 0.
function dit.build(net, o)
  net:order { "time", "inp", "blocks", "modulate", "out" }
  local width = o.width
  local c = net:time_embed("time", { net.t, net.class }, { inp = width, out = width, classes = o.classes })
  local m = net:per_token(net:linear("modulate", c, { out = 2 * width, init = "zero" }))
  local h = net:conv("inp", family.seen(net, o), { out = width, kernel = o.patch, stride = o.patch, pad = 0 })
  h = net:tokens(net:add { h, net:places(h) })
  for i = 1, o.depth do h = block(net, i, h, c, o) end
  h = net:modulate({ net:layer_norm(h, { epsilon = EPSILON, affine = false }), m })
  h = net:linear("out", h, { out = o.patch * o.patch * o.outputs * o.image[3], init = "zero" })
  return net:unpatchify({ h, net.x }, { patch = o.patch })
end

--- The diffusion transformer of Peebles & Xie 2023 for images {B, H, W, C}. Patches are tokens with
--- fixed sines and cosines of their places. The shifts, scales and gates of its blocks are linear
--- in time and class (adaLN-Zero). The network starts at 0, and each block as the identity. Other H
--- and W may be used too, if the patch divides them.
---@param options diffusion.dit_options
---@return diffusion.model
---@usage local model = d.dit{ image = { 8, 8, 1 }, width = 32, depth = 2, classes = 10 }
--- print(model(d.randn(4, 8, 8, 1), 500, { class = 3 }))
function dit.new(options) return family.model(dit, options) end

return dit
