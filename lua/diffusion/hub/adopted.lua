-- A file's tensors become the parameters of a network of some family.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local freezing = require "diffusion.nn.freezing"
local opts = require "diffusion.opts"
local peers = require "diffusion.nn.peers"

local adopted = {}

-- The tensors in a type that a network can adopt.
local function adoptable(tensors)
  if core.real == "f64" then return tensors end
  local out = {}
  for name, x in pairs(tensors) do
    out[name] = core.is_tensor(x) and x:dtype() == "f64" and x:to "f32" or x
  end
  return out
end

-- A sentence about an option without the name of the function that checked it.
local function plainly(message) return message:match "^bad argument #%d+ to '[^']*' %((.*)%)$" or message end

--- A network with the tensors of another library.
---@param known table the family
---@param entry table that of the library in `known.peers`
---@param options table the family's options
---@param tensors table<string, diffusion.tensor> by the library's keys
---@param o table options of d.hub.load: frozen (nil freezes them until training begins) and recompute
---@return diffusion.model|nil model nil with a message
---@return string|nil message
function adopted.network(known, entry, options, tensors, o)
  local given = opts.joined(options, { recompute = known.options.recompute and o.recompute or nil })
  local m, message = fail.try(peers.model, known, given, adoptable(tensors),
    { frozen = o.frozen ~= false, entry = entry })
  if not m then return nil, plainly(message) end
  if o.frozen == nil then freezing.defer(m) end
  return m
end

return adopted
