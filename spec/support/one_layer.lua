-- Networks of one layer, for the specs of kinds of layers.
local d = require "diffusion"
local core = require "diffusion.core"

local one_layer = { tolerance = core.real == "f64" and 1e-12 or 3e-6 }

--- Raises unless a is b within a tolerance, relative to the largest element if that is above 1.
function one_layer.close(a, b, within)
  local off = (a - b):abs():max():item()
  assert(off <= (within or one_layer.tolerance) * math.max(1, b:abs():max():item()), ("off by %g"):format(off))
end

--- A network of one step with these options; `path` names it if it has parameters.
function one_layer.single(kind, inputs, options, path)
  local names = {}
  for i = 1, inputs do names[i] = { ({ "x", "y", "z", "u" })[i], whole = true, optional = i > 1 } end
  return d.network { inputs = names, build = function(net)
    local values = {}
    for i, one in ipairs(names) do values[i] = net[one[1]] end
    if path then return net[kind](net, path, values, options) end
    return net[kind](net, values, options)
  end }
end

--- The model, after all its parameters were drawn again.
function one_layer.randomised(model)
  local i = 0
  for _, p in model:parameters() do
    i = i + 1
    p:copy_(d.randn(p:shape(), { seed = i }))
  end
  return model
end

return one_layer
