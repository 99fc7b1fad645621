-- Pictures of latents without the decoder: by a small autoencoder, or by a linear map of each latent to a color.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local fail = require "diffusion.fail"
local latents = require "diffusion.hub.latents"
local opts = require "diffusion.opts"

local preview = {}

-- Rows are channels of latents, columns red, green and blue in [-1, 1]. They are those of stable-diffusion 1 and
-- SDXL that programs for these models share, by the factors of their latents.
local known = {
  [0.18215] = { { 0.298, 0.207, 0.208 }, { 0.187, 0.286, 0.173 }, { -0.158, 0.189, 0.264 },
    { -0.184, -0.271, -0.473 } },
  [0.13025] = { { 0.392, 0.4054, 0.4549 }, { -0.2634, -0.0196, 0.0653 }, { 0.0568, 0.1687, -0.0755 },
    { -0.3112, -0.2359, -0.2076 } },
}

-- The map of a network's own autoencoder: least squares from latents of noise to the means of the pixels that are
-- decoded from each. The last row is a constant.
local function fitted(own, C)
  local z = core.randn({ 4, 8, 8, C }, { seed = 1 })
  local images, f = latents.decode(own, z), latents.factor(own)
  local n, H, W, D = table.unpack(images:shape())
  local y = images:reshape(n, H // f, f, W // f, f, D):mean({ 3, 5 }):reshape(n * (H // f) * (W // f), D)
  local x = core.ops.cat({ z:reshape(y:size(1), C), core.ones(y:size(1), 1) }, 2)
  local square = x:t():matmul(x) + core.eye(C + 1) * (1e-3 * y:size(1))
  return core.linalg.solve(square, x:t():matmul(y))
end

-- The widths of the autoencoders whose maps are known.
local WIDTHS = "128,256,512,512"

-- The factor of known latents; nil for those of other autoencoders, which may have the same one.
local function factor_of(own)
  if not own.vae then return own.factor or 0.18215 end
  local c = own.vae:config()
  return c.block_out_channels and table.concat(c.block_out_channels, ",") == WIDTHS and c.scaling_factor or nil
end

-- The map of a pipe, found once.
local function map_of(own, C)
  local rows = C == 4 and known[factor_of(own)]
  if rows then
    rows = { table.unpack(rows) }
    rows[5] = { 0, 0, 0 }
    return core.tensor(rows)
  end
  return own.vae and fitted(own, C)
end

local function linear(own, x)
  local n, H, W, C = table.unpack(x:shape())
  if own.map_of ~= own.vae or not own.map then own.map, own.map_of = map_of(own, C), own.vae end
  if not own.map then
    fail.raise("pipe:preview: latents of %d channels, and no autoencoder that tells their colors; load one, "
      .. "tiny = \"path\" of d.hub.load", C)
  end
  local rows = core.ops.cat({ x:reshape(n * H * W, C), core.ones(n * H * W, 1) }, 2)
  return rows:matmul(own.map):reshape(n, H, W, own.map:size(2)):clamp(-1, 1)
end

--- Pictures of a denoiser's x.
---@param own table {vae =, tiny =, class =, unit =}
---@param x diffusion.tensor {n, h, w, C}
---@return diffusion.tensor images {n, H, W, 3} in [-1, 1]; of latents' own size without `tiny`
function preview.of(own, x)
  opts.floats("pipe:preview", "x", x)
  return gradient.no_grad(function()
    if own.tiny then return latents.decode({ vae = own.tiny }, x) end
    if own.vae or latents.are_bare(own) then return linear(own, x) end
    return latents.decode(own, x)
  end)
end

return preview
