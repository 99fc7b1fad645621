-- The Frechet distance between the Gaussians of two sets, all in tensors. The root of a
-- product of covariances is taken of its symmetric form.
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local pairs_of = require "diffusion.metric.pairs"

local function moments(x)
  local n = x:size(1)
  if n < 2 then opts.fail("frechet: at least two samples are needed, got %d", n) end
  local mean = x:mean(1)
  local gap = x - mean
  return mean, gap:t():matmul(gap) / (n - 1)
end

-- The symmetric root of a covariance; rounding may leave eigenvalues just below zero.
local function root(cov)
  local values, vectors = core.linalg.eigh(cov)
  return (vectors * values:clamp(0, nil):sqrt()):matmul(vectors:t())
end

--- The Frechet distance between the Gaussians that fit two sets of features (Heusel et al.
--- 2017, eq. 6; Dowson & Landau 1982): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). Biased
--- upwards for few samples: compare only equal numbers.
---@param x diffusion.tensor features {n, D}
---@param y diffusion.tensor features {m, D}
---@return number
local function frechet(x, y)
  x, y = pairs_of.rows("frechet", x, y)
  local m1, c1 = moments(x)
  local m2, c2 = moments(y)
  local r = root(c1)
  local product = r:matmul(c2):matmul(r)
  local values = core.linalg.eigh((product + product:t()) / 2)
  local cross = values:clamp(0, nil):sqrt():sum():item()
  local gap = m1 - m2
  local eye = core.eye(x:size(2))
  return (gap * gap):sum():item() + (c1 * eye):sum():item() + (c2 * eye):sum():item() - 2 * cross
end

return frechet
