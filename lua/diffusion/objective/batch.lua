-- Likely mistakes in a batch: numbers that aren't finite, pictures that were not scaled, classes
-- that count from 0, and no classes for a conditional network.
local core = require "diffusion.core"
local classes_of = require("diffusion.classes").of
local kind = require "diffusion.kind"
local networks = require "diffusion.nn.model"
local warning = require "diffusion.warning"

local batch = {}

-- ==== nan and inf ===========================================================================

-- The first sample that holds a number which isn't finite.
local function first_sample(x0)
  local B = x0:size(1)
  local fine = x0:isfinite():reshape(B, x0:numel() // B):to(core.real):min(2):totable()
  for b = 1, B do
    if fine[b] == 0 then return b end
  end
end

--- "x0 holds 2 nan and 1 inf, first in sample 3 of 64", nil if all numbers are finite.
---@param x0 diffusion.tensor {B, ...}
---@return string|nil
function batch.fault(x0)
  if x0:isfinite():all() then return nil end
  local _, _, nans, infinite = core.picture_range(x0:detach():to(core.real):contiguous())
  local counts = (nans > 0 and ("%d nan"):format(nans) or "") .. (nans > 0 and infinite > 0 and " and " or "")
    .. (infinite > 0 and ("%d inf"):format(infinite) or "")
  return ("x0 holds %s, first in sample %d of %d"):format(counts, first_sample(x0), x0:size(1))
end

-- ==== pictures that were not scaled =========================================================

local function look_at_pixels(objective, x0)
  if x0:dim() ~= 4 or x0:size(4) ~= 1 and x0:size(4) ~= 3 or x0:numel() == 0 then return end
  local least, most = core.picture_range(x0:detach():to(core.real):contiguous())
  if least < 0 or most <= 2 then return end
  warning.once(objective, "range", "objective: x0 %s lies in %.4g..%.4g, but pictures are floats in [-1, 1]; "
    .. "d.image.to_float makes them of bytes, x / 127.5 - 1 of 0..255", kind.shape_text(x0), least, most)
end

-- ==== classes that count from 0 ==============================================================

local seen = setmetatable({}, { __mode = "k" }) -- objective -> model -> what its classes were

local function record_of(objective, model)
  local models = seen[objective] or setmetatable({}, { __mode = "k" })
  seen[objective] = models
  models[model] = models[model] or { zeros = 0, others = 0, kinds = 0 }
  return models[model]
end

local function count(record, list, classes)
  for _, c in ipairs(list) do
    if c == 0 then record.zeros = record.zeros + 1 else record.others = record.others + 1 end
    if c > 0 and c < classes and not record[c] then record[c], record.kinds = true, record.kinds + 1 end
    if c == classes then record.done = true end
  end
end

-- Class 0 occurred and the highest class did not, although all others did, or there were 4 samples
-- per class.
local function is_suspect(record, classes)
  return record.zeros > 0 and not record.done
    and (record.others >= 4 * classes or classes > 1 and record.kinds == classes - 1)
end

local function look_at_classes(objective, model, class, classes)
  local record = record_of(objective, model)
  if record.done then return end
  count(record, class:totable(), classes)
  if not is_suspect(record, classes) then return end
  record.done = true
  warning.once(objective, "classes", "objective: class 0 occurred %d time%s and class %d never; classes count "
    .. "from 1 here, and 0 is none: add 1 to labels that count from 0", record.zeros, record.zeros == 1 and "" or "s",
    classes)
end

-- ==== all of it ==============================================================================

local looked = setmetatable({}, { __mode = "k" }) -- objective -> the models whose first batch was looked at

local function is_first(objective, model)
  local models = looked[objective] or setmetatable({}, { __mode = "k" })
  looked[objective] = models
  local first = not models[model]
  models[model] = true
  return first
end

-- Whether no sample has a class.
local function is_without(class) return class == nil or class:eq(0):all() end

--- Warns about likely mistakes, once per kind and objective.
---@param objective diffusion.objective
---@param model any
---@param x0 diffusion.tensor
---@param class any as a caller gives it
function batch.look(objective, model, x0, class)
  if is_first(objective, model) then look_at_pixels(objective, x0) end
  local classes = networks.classes(model) or 0
  if classes == 0 then return end
  class = classes_of("objective", class, x0:size(1))
  if class ~= nil then look_at_classes(objective, model, class, classes) end
  if core.recording() and objective.drop_class < 1 and is_without(class) then
    warning.once(objective, "unconditional", "objective: the model knows %d classes, but is trained without any; give "
      .. "{ class = ... }, or make it with classes = 0", classes)
  end
end

return batch
