-- The numbers about sizes that SDXL's network takes. They are height and width of the picture, top
-- and left of the cropped part, and the size of the part or an aesthetic score.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local latents = require "diffusion.hub.latents"
local text_options = require "diffusion.hub.text_options"

local sizes = {}

local function joined(...)
  local out = {}
  for _, part in ipairs { ... } do table.move(part, 1, #part, #out + 1, out) end
  return out
end

-- Raises unless the network takes as many numbers.
local function check(where, own, count)
  local c = latents.config(own.unet)
  local each = c.addition_time_embed_dim
  local told = each and own.text2 and own.text2:config().projection_dim
  local wanted = told and (c.projection_class_embeddings_input_dim - told) // each
  if wanted and wanted ~= count then
    fail.raise("%s: the network takes %d numbers about sizes, but requires_aesthetics_score of the index makes %d",
      where, wanted, count)
  end
end

local function rows(list, n)
  local all = {}
  for k = 1, n do all[k] = list end
  return core.tensor(all)
end

-- Raises for numbers that the network has no place for: it takes a score, or a target.
local function check_given(where, own, given)
  for _, name in ipairs(own.scored and { "target", "negative_target" } or { "score", "negative_score" }) do
    if given and given[name] then
      fail.raise("%s: sizes: this network takes no %s; %s has its place", where, name,
        own.scored and "an aesthetic score" or "a target")
    end
  end
end

--- The numbers of a call, and those of its unconditional one.
---@param where string
---@param own table {unet =, text2 =, scored = true if a score takes the place of the last size}
---@param given table|nil the option `sizes`
---@param drawn integer[] {height, width} of the images
---@param n integer number of images
---@return diffusion.tensor numbers {n, 6}, or {n, 5} with a score
---@return diffusion.tensor without
function sizes.of(where, own, given, drawn, n)
  local o = text_options.sizes(where, given)
  check_given(where, own, given)
  local original, crop, target = o.original or drawn, o.crop or { 0, 0 }, o.target or drawn
  local apart = own.scored or o.negative_original or o.negative_target
  local list = joined(original, crop, own.scored and { o.score } or target)
  local without = joined(o.negative_original or original, o.negative_crop or apart and { 0, 0 } or crop,
    own.scored and { o.negative_score } or o.negative_target or target)
  check(where, own, #list)
  return rows(list, n), rows(without, n)
end

--- The numbers for the pictures of a training batch.
---@param where string
---@param own table {unet =, text2 =, scored}
---@param given table|nil {original = list of {height, width}, crop = list of {top, left}, target = {height, width}}
---@param n integer
---@return diffusion.tensor numbers {n, 6}, or {n, 5} with the usual score
function sizes.rows(where, own, given, n)
  if not given then
    fail.raise("%s: SDXL's network takes sizes of pictures; the batches of a folder have them, as "
      .. "{original = {{h, w}, ...}, crop = {{top, left}, ...}, target = {h, w}}", where)
  end
  local list, last = {}, own.scored and { text_options.sizes(where).score } or given.target
  for i = 1, n do
    local original, crop = given.original and given.original[i], given.crop and given.crop[i]
    if not (original and crop and last) then
      fail.raise("%s: the sizes of picture %d of %d are missing", where, i, n)
    end
    list[i] = joined(original, crop, last)
  end
  check(where, own, #list[1])
  return core.tensor(list)
end

return sizes
