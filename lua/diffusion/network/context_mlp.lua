-- A small conditional denoiser: points, conditioned on a context vector.
local family = require "diffusion.nn.family"

local context_mlp = { name = "context_mlp" }

context_mlp.options = family.declare(context_mlp.name, {
  dim = family.size(2, 1, "dimensions of a point"),
  context = family.size(2, 1, "dimensions of a context vector"),
  hidden = family.size(64, 2, "width of the blocks, even"),
  depth = family.count(3, "number of residual blocks"),
})

function context_mlp.check(o)
  if o.hidden % 2 ~= 0 then family.fail("context_mlp: hidden must be even, got %d", o.hidden) end
end

function context_mlp.inputs(o)
  return { { "x", shape = { "B", o.dim } }, "t", { "context", shape = { "B", o.context }, optional = true } }
end

function context_mlp.text(o)
  return ("dim %d, context %d, hidden %d, depth %d"):format(o.dim, o.context, o.hidden, o.depth)
end

-- The embedding is e = time(t) + context(c); an absent context adds nothing. Each block adds
-- two(silu(one(norm(h) + e))) to h.
function context_mlp.build(net, o)
  local width = { out = o.hidden }
  local e = net:time_embed("time", net.t, { inp = o.hidden, out = o.hidden })
  e = net:add { e, net:linear("context", net.context, width) }
  local h = net:linear("inp", net.x, width)
  for i = 1, o.depth do
    local path = ("blocks.%d."):format(i)
    local y = net:add { net:layer_norm(path .. "norm", h), e }
    y = net:silu(net:linear(path .. "one", y, width))
    h = net:add { h, net:linear(path .. "two", y, { out = o.hidden, init = "zero" }) }
  end
  local x = net:mul { net.x, net:linear("gate", e, { out = o.dim, init = "zero" }) }
  return net:add { net:linear("out", net:layer_norm("norm", h), { out = o.dim, init = "zero" }), x }
end

--- A denoiser for points {B, dim} conditioned on a context vector {B, context}. It is called as
--- model(xt, t, {context = c}); without a context it is unconditional.
---@param options diffusion.context_mlp_options?
---@return diffusion.model
---@usage local model = d.context_mlp{ context = 3 }
--- local process = d.process{ schedule = d.schedule.cosine{} }
--- local c = d.randn(8, 3)
--- print(d.objective{ process = process }(model, d.randn(8, 2), { inputs = { context = c } }))
--- print(d.sample{ model = model, process = process, shape = { 8, 2 }, inputs = { context = c }, steps = 5 })
function context_mlp.new(options) return family.model(context_mlp, options) end

return context_mlp
