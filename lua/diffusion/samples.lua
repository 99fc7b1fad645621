-- Checks of samples [B,...] that a user gives: data, starting points, sets to compare.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local samples = {}

--- Raises unless x is a batch: reals [B,...] with at least one sample.
---@param where string the caller: "objective"
---@param name string the name of x there: "x0"
---@param x any
---@param least integer|nil dimensions, 2 if not given: a lone sample was given if it has fewer
---@return diffusion.tensor x
function samples.batch(where, name, x, least)
  if not core.is_tensor(x) then
    fail.raise("%s: %s must be a tensor, got %s%s", where, name, kind.shown(x), opts.advice(x, "picture|tensor"))
  end
  if x:dtype() ~= core.real then
    fail.raise("%s: %s must be %s, got %s%s", where, name, core.real, x:dtype(), kind.float_advice(x))
  end
  if x:dim() < (least or 2) or x:numel() == 0 then
    fail.raise("%s: %s must be [B,...] with a sample or more, got %s", where, name, kind.shape_text(x))
  end
  return x
end

--- Raises unless x is a batch of finite numbers that is not being recorded.
---@param where string the caller
---@param name string the name of x there
---@param x any
---@param least integer|nil dimensions, 2 if not given
---@return diffusion.tensor x
function samples.constant(where, name, x, least)
  samples.batch(where, name, x, least)
  if not x:isfinite():all() then fail.raise("%s: %s holds nan or infinity", where, name) end
  gradient.constant(where, name, x)
  return x
end

--- A batch's samples as rows.
---@param x diffusion.tensor [B,...]
---@return diffusion.tensor [B,D]
function samples.rows(x) return x:reshape(x:size(1), x:numel() // x:size(1)) end

return samples
