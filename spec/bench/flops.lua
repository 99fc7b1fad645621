--- Multiplications and additions of a network's forward for one image, by the shapes of its
-- parameters: 2 for each weight at each place where it works.
local words = require "words"

local flops = {}

-- The level at whose size a layer of the UNet works, by its name; nil: once an image.
local function level_of(name, levels)
  if name:find "^time%." or name:find "%.embed%." then return nil end
  local way, level = name:match "^(%a+)%.(%d+)%."
  if not way then return name:find "^mid%." and levels or 1 end
  level = math.tointeger(level)
  if name:find "%.shrink%." then return level + 1 end
  if name:find "%.grow%." then return level - 1 end
  return level
end

local function weight_work(name, size, w, levels)
  local weights = 1
  for _, n in ipairs(size) do weights = weights * n end
  local level = level_of(name, levels)
  if not level then return 2 * weights end
  local pixels = w.image[1] * w.image[2] // 4 ^ (level - 1)
  local work = 2 * weights * pixels
  -- scores and their sums of values: tokens^2 numbers, C multiplications each
  if name:find "attention%.qkv" then work = work + 4 * pixels ^ 2 * size[2] end
  return work
end

-- A DiT multiplies each token, and time and class once an image.
local function token_work(name, weights, w)
  if name:find "^time%." or name:find "modulate" then return 2 * weights end
  local tokens = w.image[1] * w.image[2] // w.patch ^ 2
  local scores = name:find "attention%.qkv" and 4 * tokens ^ 2 * w.width or 0
  return 2 * weights * tokens + scores
end

--- FLOPs of one image, or of one point of an MLP.
---@param model diffusion.model
---@param w table the workload: its image and levels
---@return number
function flops.forward(model, w)
  local levels, work = #words.numbers(w.mult), 0
  for name, p in model:parameters() do
    local size = p:shape()
    if name:find "weight$" and #size > 1 and not name:find "class" then
      work = work + (w.net == "dit" and token_work(name, p:numel(), w)
        or levels > 0 and weight_work(name, size, w, levels) or 2 * p:numel())
    end
  end
  return work
end

return flops
