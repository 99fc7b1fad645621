-- The least loss that there is for Gaussian data, and what the best linear denoiser reaches on
-- any data: of N(mean, d^2) at level (a, s), Var(x0 | xt) = d^2 s^2 / (a^2 d^2 + s^2).
local core = require "diffusion.core"
local image = require "diffusion.image"
local opts = require "diffusion.opts"

local floor = {}

-- Variances along the axes of a set of samples, or of a tensor {n,...}.
local function fitted(data)
  if opts.kind(data) == "set" then data = data.x end
  local n = data:dim() > 0 and data:size(1) or 0
  if n < 2 then opts.fail("floor: data of two samples or more expected, got %s", opts.shape_text(data)) end
  local rows = image.to_float(data):to(core.real):reshape(n, data:numel() // n)
  local centred = rows - rows:mean(1, true)
  local values = core.linalg.eigh(centred:t():matmul(centred) / n):totable()
  for i, v in ipairs(values) do values[i] = math.max(0, v) end
  return values
end

local function squares(std)
  if type(std) == "number" then std = { std } end
  if core.is_tensor(std) then std = std:reshape(std:numel()):totable() end
  local out = {}
  for i, d in ipairs(std) do
    if type(d) ~= "number" or not (d >= 0 and d < math.huge) then
      opts.fail("floor: std must be a number of 0 or more, or a list of these, got %s at %d", opts.shown(d), i)
    end
    out[i] = d * d
  end
  if #out == 0 then opts.fail "floor: std is empty" end
  return out
end

-- The mean over the axes of Var(x0 | xt).
local function left(variances, a, s)
  local sum = 0
  for _, v in ipairs(variances) do sum = sum + v * s ^ 2 / (a ^ 2 * v + s ^ 2) end
  return sum / #variances
end

--- The mean of the least weighted error over a law of t.
---@param schedule diffusion.schedule
---@param t number[] and their
---@param p number[] probabilities
---@param w number[] weights on x0
---@param variances number[] of the data along its axes
---@return number
local function expected(schedule, t, p, w, variances)
  local sum = 0
  for i, at in ipairs(t) do
    sum = sum + p[i] * w[i] * left(variances, schedule:signal(at), schedule:noise(at))
  end
  return sum
end

--- Variances along the axes of what options say of the data.
---@param given table {std=} or {data=}
---@return number[]
function floor.variances(given)
  local o = opts.check("floor", given, { std = { "number|table|tensor" }, data = { "tensor|set" } })
  if (o.std == nil) == (o.data == nil) then opts.fail "floor: give one of 'std' and 'data'" end
  return o.std and squares(o.std) or fitted(o.data)
end

floor.expected = expected

return floor
