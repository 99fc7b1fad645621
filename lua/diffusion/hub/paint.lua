-- Inpainting: a part of an image is kept, the rest is painted. A network made for it gets the mask and the latents
-- of the kept part. For others the kept part of x is put back, noised, before each evaluation.
local core = require "diffusion.core"
local edit = require "diffusion.edit.repaint"
local fail = require "diffusion.fail"
local families = require "diffusion.sampler.families"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local opts = require "diffusion.opts"
local place = require "diffusion.sampler.place"
local trained = require "diffusion.nn.trained"

local paint = {}

-- ==== the mask ==========================================================================

-- keep as {n or 1, H, W, 1}. A pixel is kept if all of its channels are.
local function pixels_of(where, keep, x0)
  local shape, own = x0:shape(), keep:shape()
  if #own == 3 then table.insert(own, 1, 1) end
  local fits = #own == 4 and own[2] == shape[2] and own[3] == shape[3] and (own[4] == 1 or own[4] == shape[4])
    and (own[1] == 1 or own[1] == shape[1])
  if not fits then
    fail.raise("%s: keep is %s; {%d, %d, 1} as x0, or x0's shape %s expected", where, kind.shape_text(keep), shape[2],
      shape[3], kind.shape_text(x0))
  end
  return keep:detach():to(core.real):reshape(own):min(-1, true):gt(0.5):to(core.real)
end

-- The first pixel of each tile, which is diffusers' nearest one.
local function coarser(keep, f)
  if f == 1 then return keep end
  local n, H, W = table.unpack(keep:shape())
  local cut = keep:reshape(n, H // f, f, W // f, f):narrow(3, 1, 1):narrow(5, 1, 1)
  return cut:contiguous():reshape(n, H // f, W // f, 1)
end

--- The mask of a call: 1 where x0 stays.
---@param where string
---@param own table
---@param keep diffusion.tensor
---@param x0 diffusion.tensor images
---@return table {pixels {n or 1, H, W, 1}, cells of the latents}
function paint.mask(where, own, keep, x0)
  local pixels = pixels_of(where, keep, x0)
  return { pixels = pixels, cells = coarser(pixels, latents.factor(own)) }
end

-- ==== networks made for it ==============================================================

--- Whether a denoiser takes a mask and the latents of the kept part next to its x.
---@param own table {unet =, image =}
---@return boolean
function paint.is_painter(own)
  local c = latents.config(own.unet)
  return c.out_channels ~= nil and c.in_channels == 2 * c.out_channels + 1
end

--- A network that gets an input, such as the mask and the kept part, as further channels of x.
---@param net any
---@param input string its name
---@return any denoiser
function paint.joined(net, input)
  return trained.wrap(function(x, t, given)
    local rest = {}
    for name, value in pairs(given or {}) do rest[name] = value end
    local more = rest[input]
    if not more then fail.raise("pipe: the input '%s' is missing, which the denoiser gets next to x", input) end
    rest[input] = nil
    return net(core.ops.cat({ x, more }, -1), t, rest)
  end, net)
end

--- The input `paint`: 1 where it is painted, and the latents of the kept part.
---@param mask table from paint.mask
---@param kept diffusion.tensor {n, h, w, C}
---@return diffusion.tensor
function paint.input(mask, kept)
  local n = kept:size(1)
  local cells = mask.cells:size(1) == n and mask.cells or mask.cells:repeat_each(n)
  return core.ops.cat({ 1 - cells, kept }, -1)
end

-- ==== other networks ====================================================================

-- x with the kept part of x0, noised to level t by the same normals at all levels.
local function blended(p, x, t)
  local schedule = p.process.schedule
  local known = t == 0 and p.x0 or core.ops.mix(schedule:signal(t), p.x0, schedule:noise(t), p.z)
  return core.ops.where(p.kept, known, x)
end

-- The level at which the next step starts. The last one ends at x0 itself.
local function following(grid, pair) return pair.i < pair.n and grid[pair.i + 1][1] or 0 end

--- A sampler that keeps a part of x, as diffusers' pipelines do. It is put back into the result of each step, and
--- into the network's x from the second evaluation on.
---@param where string
---@param which any a sampler
---@param p table {x0 = latents, z = normals, cells = mask, process, grid}
---@return table sampler
function paint.keeping(where, which, p)
  local name, solver, options = families.resolve(which)
  if solver.upward then fail.raise("%s: %s goes from data to noise", where, name) end
  p.kept = p.cells:gt(0.5)
  local function make(denoise, process, tools)
    for key, value in pairs(options) do tools[key] = value end
    local fresh = false
    local take = solver.make(function(x, t)
      if not fresh then x = blended(p, x, t) end
      fresh = false
      return denoise(x, t)
    end, process, tools)
    return function(x, pair, history)
      fresh = pair.i == 1
      return blended(p, take(x, pair, history), following(p.grid, pair))
    end
  end
  local out = {}
  for key, value in pairs(solver) do out[key] = value end
  out.make, out.name = make, name
  return { out }
end

--- The grid of a course, made before its run if the course has none yet.
---@param c table from course.of
---@return diffusion.grid
function paint.grid(c)
  if kind.of(c.grid) == "grid" then return c.grid end
  local name, solver = families.resolve(c.sampler)
  return place.grid({ process = c.process, grid = c.grid, steps = c.steps }, name, solver)
end

-- ==== RePaint ===========================================================================

--- The options of how = "repaint", or nil for another way.
---@param where string
---@param own table
---@param how any
---@return table|nil
function paint.resampling(where, own, how)
  local name, options = how, {}
  if type(how) == "table" then
    name, options = how[1], opts.joined(how)
    options[1] = nil
  end
  if how == nil or name == "blend" and next(options) == nil then return nil end
  if name ~= "repaint" then
    fail.raise("%s: how: \"blend\", \"repaint\" or {\"repaint\", jump =, resample =} expected, got %s", where,
      kind.shown(name))
  end
  if paint.is_painter(own) then
    fail.raise("%s: how: the network gets the kept part itself, so nothing is put back", where)
  end
  return opts.check(where .. ": how", options, { jump = edit.rules.jump, resample = edit.rules.resample }, 0)
end

--- x of RePaint on latents.
---@param p table {model, inputs, process, x0, cells, guidance, sampler, steps, grid, seed, on_step, nan}
---@param o table from paint.resampling
---@return diffusion.tensor
function paint.repaint(p, o)
  return (edit.repaint { model = p.model, inputs = p.inputs, process = p.process, x0 = p.x0, keep = p.cells,
    guidance = p.guidance, sampler = p.sampler, steps = p.grid == nil and p.steps or nil, grid = p.grid, seed = p.seed,
    on_step = p.on_step, nan = p.nan, jump = o.jump, resample = o.resample })
end

return paint
