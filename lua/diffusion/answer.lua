-- Checks of the results of a user's functions: a denoiser, or a function of each sample.
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"

local answer = {}

-- The shape of a denoiser's output for xt as text. Its last dimension is `outputs` times xt's.
local function answer_text(xt, outputs)
  local shape = xt:shape()
  shape[#shape] = shape[#shape] * outputs
  return "[" .. table.concat(shape, ",") .. "]"
end

-- The end of a message about a tensor, or another value, that does not fit.
local function expectation(out, xt, outputs)
  local is_tensor = kind.of(out) == "tensor"
  if is_tensor and out:dtype() ~= xt:dtype() then
    return ("%s %s expected"):format(xt:dtype(), answer_text(xt, outputs))
  end
  if outputs == 2 then
    return answer_text(xt, 2) .. " expected, since the variance is learned: v next to the prediction (a network made "
      .. "with outputs = 2)"
  end
  local twice = is_tensor and kind.shape_text(out) == answer_text(xt, 2)
  return "a tensor of the same shape expected" .. (twice
    and "; for a network with outputs = 2 the process has variance = 'learned_range' or 'learned'" or "")
end

--- Raises unless a denoiser returned a tensor of xt's shape and dtype. Its last dimension
--- is twice xt's if the variance is learned.
---@param where string the caller of the denoiser
---@param out any the denoiser's result
---@param xt any
---@param outputs integer|nil process.outputs, 1 if not given
---@return any out
function answer.of_denoiser(where, out, xt, outputs)
  outputs = outputs or 1
  local of = kind.of(out) == "tensor" and out:dtype() ~= xt:dtype() and " of " .. out:dtype() or ""
  if of == "" and kind.of(out) == "tensor" and kind.shape_text(out) == answer_text(xt, outputs) then return out end
  fail.raise("%s: the denoiser returned %s%s for xt %s; %s", where, kind.shown(out), of, kind.shape_text(xt),
    expectation(out, xt, outputs))
end

--- Raises unless a user's function returned one number per sample, or their sum.
---@param what string the function, as the message names it
---@param value any the function's result
---@param x any the samples
---@return any value
function answer.per_sample(what, value, x)
  if kind.of(value) ~= "tensor" or value:numel() ~= 1 and kind.shape_text(value) ~= ("[%d]"):format(x:size(1)) then
    fail.raise("%s returned %s for %s; one number per sample, [%d], or their sum expected", what, kind.shown(value),
      kind.shape_text(x), x:size(1))
  end
  return value
end

return answer
