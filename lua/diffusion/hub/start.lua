-- The start of a pipe's run: its normals, from a seed or in PyTorch's order, the latents of images, and x at the
-- first level.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local noise = require "diffusion.sampler.noise"
local opts = require "diffusion.opts"

local start = {}

-- ==== normals ===========================================================================

--- The source of a call's normals.
---@class diffusion.pipe_draws
---@field source any for d.sampler.steps: nil stands for the seed
---@field seed integer
---@field generators any
local Draws = {}
Draws.__index = Draws

--- The source of a call's normals: its generators, or a seed.
---@param where string
---@param o table {seed, generator}
---@param n integer images
---@return diffusion.pipe_draws
function start.draws(where, o, n)
  local g = o.generator
  if g and o.seed then fail.raise("%s: seed = %d and a generator; one of the two expected", where, o.seed) end
  if kind.of(g) == "table" and #g ~= n then fail.raise("%s: %d generators for %d images", where, #g, n) end
  return setmetatable({ source = g and noise.planes(g), seed = o.seed or core.random_seed(), generators = g }, Draws)
end

--- Whether each image has a generator of its own.
function Draws:each() return kind.of(self.generators) == "table" end

--- Normals of a shape. `number` tells draws of one seed apart: 0 is the start.
---@param shape integer[]
---@param number integer
---@return diffusion.tensor
function Draws:normals(shape, number)
  local zeros = core.zeros(shape)
  if not self.source then return core.mix_noise(1, self.seed, core.streams.start, number, 0, zeros) end
  local source = self.source
  if self:each() and shape[1] < #self.generators then
    source = noise.planes(table.move(self.generators, 1, shape[1], 1, {}))
  end
  return noise.drawn(source, zeros)
end

-- ==== latents of images =================================================================

--- Rows for n images: x's own, its only one, or one for each prompt, whose images are next to one another.
---@param where string
---@param name string
---@param x diffusion.tensor
---@param o table {n = images, prompts = number of them or nil}
---@return diffusion.tensor
function start.rows(where, name, x, o)
  local rows, n = x:size(1), o.n
  if rows == n then return x end
  if rows == 1 or rows == o.prompts then return x:repeat_each(n // rows) end
  fail.raise("%s: %s has %d images for %d that are drawn", where, name, rows, n)
end

--- Raises unless x are images {n, H, W, C} whose sides the autoencoder takes.
---@param where string
---@param name string
---@param x diffusion.tensor
---@param own table {vae =}
---@return diffusion.tensor
function start.images(where, name, x, own)
  opts.floats(where, name, x)
  if x:dim() ~= 4 or x:numel() == 0 then
    fail.raise("%s: %s is %s; images {n, H, W, C} expected", where, name, kind.shape_text(x))
  end
  local C = own.vae and own.vae:config().in_channels
  if C and x:size(4) ~= C then
    fail.raise("%s: %s is %s; images of %d channels expected", where, name, kind.shape_text(x), C)
  end
  local times = latents.factor(own)
  if x:size(2) % times ~= 0 or x:size(3) % times ~= 0 then
    fail.raise("%s: %s is %s; height and width must be multiples of %d", where, name, kind.shape_text(x), times)
  end
  return x
end

--- n latents of images, drawn from what the autoencoder says of each. Images from a seed, or with generators
--- of their own, are drawn apart; otherwise one picture has the same latents in all, as in diffusers.
---@param where string
---@param own table
---@param x diffusion.tensor {n, 1 or one for each prompt, H, W, C}
---@param draws diffusion.pipe_draws
---@param number integer as for Draws:normals
---@param o table {n =, prompts = see start.rows, apart = false if one picture's latents are drawn once, tile =}
---@return diffusion.tensor
---@return boolean drawn false if the autoencoder says one latent for each image
function start.encoded(where, own, x, draws, number, o)
  return gradient.no_grad(function()
    local mean, std = latents.moments(own, x, o.tile)
    local once = o.apart == false or draws.source and not draws:each()
    if std and not once then mean, std = start.rows(where, "x0", mean, o), start.rows(where, "x0", std, o) end
    if std then mean = mean + std * draws:normals(mean:shape(), number) end
    return start.rows(where, "x0", latents.scaled(own, mean), o), std ~= nil
  end)
end

-- ==== x at the first level ==============================================================

--- x at the first level, of latents. A sampler that goes from data to noise begins at them.
---@param c table from course.of
---@param x0 diffusion.tensor
---@param z fun(): diffusion.tensor draws normals
---@return diffusion.tensor
function start.noised(c, x0, z)
  if c.upward then return x0 end
  return (c.process:q_sample(x0, c.grid[1][1], z()))
end

--- x at the first level, of normals.
---@param c table from course.of, with a grid
---@param z diffusion.tensor
---@return diffusion.tensor
function start.scaled(c, z)
  local t, schedule = c.grid[1][1], c.process.schedule
  return z * (c.start or math.sqrt(schedule:signal(t) ^ 2 + schedule:noise(t) ^ 2))
end

return start
