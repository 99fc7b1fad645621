-- The kernel inception distance, on any features.
local fail = require "diffusion.fail"
local contrast = require "diffusion.metric.contrast"
local interval = require "diffusion.metric.interval"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

local rules = opts.declare("metric_kid", opts.joined(contrast.rules, {
  block = { "integer", min = 4,
    text = "pairs within blocks of so many samples only, as is usual (1,000); the interval is from their spread" },
  permutations = opts.joined(contrast.rules.permutations, { default = 0,
    text = "permutations of the labels, for p; not with blocks" }),
}))

local kernel = { "cubic" } -- (x.y/D + 1)^3

-- The mean over pairs of blocks, which are independent, and its interval by Student's t.
local function blocked(x, y, o)
  local n, m = x:size(1), y:size(1)
  local B = math.min(n, m) // o.block
  if B < 5 then
    fail.raise("kid: sets of %d and %d samples make %d blocks of %d; at least 5 are needed", n, m, B, o.block)
  end
  local sum, squares = 0, 0
  for k = 1, B do
    local from = (k - 1) * o.block + 1
    local v = contrast.of(x:narrow(1, from, o.block), y:narrow(1, from, o.block), kernel, {})
    sum, squares = sum + v, squares + v * v
  end
  local value = sum / B
  if not o.interval then return value end
  local se = math.sqrt(math.max(0, squares - sum * value) / (B - 1) / B)
  local t = interval.student(B - 1)
  return value, interval.new { low = value - t * se, high = value + t * se, se = se, n = { n, m },
    method = ("means of %d blocks of %d"):format(B, o.block), bias = "none; it may be negative" }
end

--- The kernel inception distance (Bińkowski et al. 2018, eq. 4), on any features: the squared maximum
--- mean discrepancy of the kernel (x.y/D + 1)^3. It is unbiased for any number of samples, and may be
--- negative. The kernel isn't invariant: features farther from 0 have larger values.
---@param x diffusion.tensor features {n, D}, n >= 2
---@param y diffusion.tensor features {m, D}, m >= 2
---@param options diffusion.metric_kid_options?
---@return number
---@return diffusion.interval|nil about
---@usage print(d.metric.kid(d.randn(300, 8), d.randn(300, 8) + 0.5, { interval = true }))
return function(x, y, options)
  local o = opts.check("kid", options, rules, 3)
  x, y = pairs_of.rows("kid", 2, x, y)
  if not o.block then return contrast.of(x, y, kernel, o) end
  if o.permutations > 0 then fail.raise "kid: permutations are of all samples, not of blocks; give one of both" end
  return blocked(x, y, o)
end
