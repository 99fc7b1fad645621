--- A network of Stable Diffusion 1.5 from the folder w.folder. Inputs and outputs of the answers have their channels
-- second, as all peers have.
local d = require "diffusion"

local function as_peers(x) return x:dim() == 4 and x:permute(1, 4, 2, 3):contiguous() or x end

-- The inputs and the call of each part.
local parts = {}

function parts.unet(folder)
  local net = assert(d.hub.load(folder .. "/unet")).unet
  local x, t, context = d.randn(2, 64, 64, 4), d.full({ 2 }, 500), d.randn(2, 77, 768)
  local function call() return net(x, t, { context = context }) end
  return { x = x, t = t - 1, context = context }, call -- times count from 0 there
end

function parts.decode(folder)
  local vae = assert(d.hub.load(folder .. "/vae")).vae
  local x = d.randn(1, 64, 64, 4)
  return { x = x }, function() return vae:decode(x) end
end

function parts.text(folder)
  local net = assert(d.hub.load(folder .. "/text_encoder")).text
  local ids = d.randint(1, 49407, { 2, 77 })
  return { x = ids:to "f32" }, function() return (net(ids)) end
end

return function(w)
  local inputs, call = parts[w.part](w.folder)
  local task = {}

  function task.step() d.scope(function() call() end) end

  function task.answers()
    local out = { out = as_peers(call()) }
    for name, x in pairs(inputs) do out[name] = as_peers(x) end
    return out
  end
  return task
end
