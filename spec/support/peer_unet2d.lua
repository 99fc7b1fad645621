-- Records of UNet2DModel, as spec/peers/unet2d.py writes them, and this library's answers.
local core = require "diffusion.core"
local digests = require "spec.support.peer_digests"
local values = require "spec.support.peer_values"

local INPUT, CLASS = 103, 104

local function class_of(case, options)
  local given = case.class
  if given == nil then return nil end
  if given == "vector" then
    return values.uniform({ 2, options.time_embedding_dim or 4 * options.block_out_channels[1] }, CLASS):to(core.real)
  end
  local first, out = options.class_embed_type and 0 or 1, {} -- labels count from 0 there
  for i, k in ipairs(given) do out[i] = k + first end
  return out
end

-- t as ours: 1 more, unless the network's time is a noise level.
local function times(case, options)
  local out = {}
  for i, t in ipairs(case.t) do out[i] = options.time_embedding_type == "fourier" and t or t + 1 end
  return out
end

local function input(case) return digests.uniform(case.x, INPUT) end

local M = digests.of("unet2d", {
  leaves = function(case) return { { "x", input(case) } } end,
  call = function(case, options, model, leaves)
    local class = class_of(case, options)
    return model(leaves.x, times(case, options), class and { class = class })
  end,
  filled = function(tensors, options)
    if options.time_embedding_type == "fourier" then
      tensors["time_proj.weight"] = tensors["time_proj.weight"] * 16
    end
  end,
})

M.input = input

--- model(x, t, {class}) of a case, as images of torch.
function M.run(case, options, model, x)
  local class = class_of(case, options)
  return digests.theirs(model(x or input(case), times(case, options), class and { class = class }))
end

return M
