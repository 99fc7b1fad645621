-- The maximum mean discrepancy with Gaussian kernels.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local contrast = require "diffusion.metric.contrast"
local pairs_of = require "diffusion.metric.pairs"
local opts = require "diffusion.opts"

-- The median distance between at most 1,000 samples, taken evenly from both sets.
local function median(x, y)
  local z = core.ops.cat({ x, y }, 1)
  local N = z:size(1)
  local count = math.min(N, 1000)
  z = z:index(1, (core.arange(0, count - 1):to(core.real) * (N / count)):floor():to "i64" + 1)
  -- count zeros of the diagonal come before all others
  local middle = (count * count + count - 1) / 2 / (count * count - 1)
  return pairs_of.squares(z, z)(1, count):sqrt():quantile(middle):item()
end

local function bandwidths(given, x, y)
  if given == nil then
    given = median(x, y)
    if given == 0 then fail.raise "mmd: half of the samples are equal, so a bandwidth must be given" end
  end
  local list = type(given) == "table" and given or { given }
  if #list == 0 then fail.raise "mmd: the list of bandwidths is empty" end
  for i, h in ipairs(list) do
    if type(h) ~= "number" or not (h > 0 and h < math.huge) then
      fail.raise("mmd: bandwidth %d must be a number above 0, got %s", i, kind.shown(h))
    end
  end
  return list
end

local rules = opts.declare("metric_mmd", opts.joined(contrast.rules, {
  bandwidth = { "number|table", as = "number|number[]", default_text = "median distance between samples of both sets",
    text = "h, or a list of several" },
}))

--- The squared maximum mean discrepancy (Gretton et al. 2012, eq. 3): E k(X,X') + E k(Y,Y') -
--- 2 E k(X,Y) with k = exp(-|x-y|^2 / 2 h^2), averaged over several h. It is zero only for equal
--- distributions. Pairs of a sample with itself are omitted, so the estimate is unbiased and may be
--- slightly negative. Values compare only at the same bandwidth.
---@param x diffusion.tensor samples {n, ...}, n >= 2
---@param y diffusion.tensor samples {m, ...}, m >= 2
---@param options diffusion.metric_mmd_options?
---@return number
---@return diffusion.interval|nil about with p, and the bandwidths that were used
---@usage print(d.metric.mmd(d.randn(500, 2), d.randn(500, 2), { bandwidth = { 0.5, 1, 2 } }))
return function(x, y, options)
  local o = opts.check("mmd", options, rules, 3)
  x, y = pairs_of.rows("mmd", 2, x, y)
  local list = bandwidths(o.bandwidth, x, y)
  local value, about = contrast.of(x, y, { "gauss", list }, o)
  if about then about.bandwidth = list end
  return value, about
end
