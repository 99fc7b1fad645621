-- The schedule that the betas of a scheduler's config make.
local fail = require "diffusion.fail"
local named = require("diffusion.schedule").schedule

local betas = {}

local function ends(make)
  return function(c, T)
    return make { T = T, rescale = false, beta_start = c.beta_start, beta_end = c.beta_end }
  end
end

local kinds = {
  linear = ends(named.linear), scaled_linear = ends(named.scaled_linear), sigmoid = ends(named.sigmoid_beta),
  squaredcos_cap_v2 = function(_, T) return named.cosine { T = T } end,
  exp = function(_, T) return named.exponential { T = T } end,
}

local function trained(c)
  if #c.trained_betas ~= c.num_train_timesteps then
    fail.raise("trained_betas has %d entries, but num_train_timesteps is %d", #c.trained_betas, c.num_train_timesteps)
  end
  return named.from_beta(c.trained_betas)
end

--- The schedule of a config's betas.
---@param c table checked options
---@return diffusion.schedule
function betas.schedule(c)
  local s = c.trained_betas and trained(c) or kinds[c.beta_schedule](c, c.num_train_timesteps)
  return c.rescale_betas_zero_snr and s:rescale_zero_terminal_snr() or s
end

return betas
