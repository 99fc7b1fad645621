-- A denoiser for points: a residual network on vectors.
local family = require "diffusion.nn.family"

local mlp = { name = "mlp" }

mlp.options = family.declare(mlp.name, {
  dim = family.size(2, 1, "dimensions of a point"),
  hidden = family.size(128, 2, "width of the blocks, even"),
  depth = family.count(4, "number of residual blocks"),
  classes = family.classes,
  outputs = family.outputs,
  self_condition = family.self_condition,
  recompute = family.recompute,
})

function mlp.check(o)
  if o.hidden % 2 ~= 0 then family.fail("mlp: hidden must be even, got %d", o.hidden) end
end

function mlp.inputs(o) return family.inputs({ "B", o.dim }, o) end

function mlp.text(o) return ("dim %d, hidden %d, depth %d"):format(o.dim, o.hidden, o.depth) end

-- h + two(silu(one(norm(h) + e))); the last product starts at zero
local function block(net, i, h, e, o)
  local options = { name = "mlp_block", text = tostring(o.hidden), recompute = o.recompute }
  return net:block("blocks." .. i, { h, e }, options, function(b, x, embedding)
    local y = b:add { b:layer_norm("norm", x), embedding }
    y = b:silu(b:linear("one", y, { out = o.hidden }))
    return b:add { x, b:linear("two", y, { out = o.hidden, init = "zero" }) }
  end)
end

-- The gate on x is for points far from the origin. The norm removes their size, and at high
-- noise eps is nearly x.
function mlp.build(net, o)
  local out = o.outputs * o.dim
  local e = net:time_embed("time", { net.t, net.class }, { inp = o.hidden, out = o.hidden, classes = o.classes })
  local h = net:linear("inp", family.seen(net, o), { out = o.hidden })
  for i = 1, o.depth do h = block(net, i, h, e, o) end
  h = net:linear("out", net:layer_norm("norm", h), { out = out, init = "zero" })
  local x = o.outputs == 2 and net:cat { net.x, net.x } or net.x
  return net:add { h, net:mul { x, net:linear("gate", e, { out = out, init = "zero" }) } }
end

--- A denoiser for points {B, dim}: residual blocks of two products, conditioned on the time by an
--- embedding.
---@param options diffusion.mlp_options?
---@return diffusion.model
---@usage local model = d.mlp{ dim = 2, hidden = 64, depth = 2 }
--- print(model(d.randn(8, 2), 500))
function mlp.new(options) return family.model(mlp, options) end

return mlp
