-- The schedule that the betas of a scheduler's config make.
local fail = require "diffusion.fail"
local named = require("diffusion.schedule").schedule

local betas = {}

-- Betas that fall are those that rise, in the other order.
local function ends(make)
  return function(c, T)
    local first, last = c.beta_start, c.beta_end
    local s = make { T = T, rescale = false, beta_start = math.min(first, last), beta_end = math.max(first, last) }
    if first <= last then return s end
    local list = {}
    for t = 1, T do list[t] = s:beta(T + 1 - t) end
    return named.from_beta(list)
  end
end

-- diffusers takes the square root of the published alpha_bar.
local function laplace(_, T)
  local function root(u)
    local lambda = -0.5 * (u > 0.5 and -1 or 1) * math.log(1 - 2 * math.abs(0.5 - u) + 1e-6)
    local snr = math.exp(lambda)
    return math.sqrt(snr / (1 + snr))
  end
  local list = {}
  for t = 1, T do list[t] = math.min(1 - root(t / T) / root((t - 1) / T), 0.999) end
  return named.from_beta(list)
end

local kinds = {
  linear = ends(named.linear), scaled_linear = ends(named.scaled_linear), sigmoid = ends(named.sigmoid_beta),
  squaredcos_cap_v2 = function(_, T) return named.cosine { T = T } end,
  laplace = laplace,
  exp = function(_, T) return named.exponential { T = T } end,
}

local function trained(c)
  if #c.trained_betas ~= c.num_train_timesteps then
    fail.raise("trained_betas has %d entries, but num_train_timesteps is %d", #c.trained_betas, c.num_train_timesteps)
  end
  return named.from_beta(c.trained_betas)
end

-- The schedule whose last alpha_bar is 2^-24 instead of 0, so that its sigma is finite. Some levels
-- before it may have less signal in diffusers' table. A schedule falls, so they get more here. The
-- second result is the first of them, or T.
local function with_signal(s)
  local list, least, lost = {}, 2.0 ^ -24, s.T
  for t = 1, s.T - 1 do
    list[t] = s:alpha_bar(t)
    if list[t] <= least then
      lost = t
      break
    end
  end
  local above = (list[lost - 1] or 1) - least
  for t = lost, s.T do list[t] = least + above * (s.T - t) / (s.T - lost + 1) end
  return named.from_alpha_bar(list), lost
end

--- The schedule of a config's betas.
---@param c table checked options
---@param finite boolean|nil true if the class keeps a little signal at zero terminal SNR
---@return diffusion.schedule
---@return integer|nil lost the first level, if not T, whose signal isn't that of diffusers
function betas.schedule(c, finite)
  local s = c.trained_betas and trained(c) or kinds[c.beta_schedule](c, c.num_train_timesteps)
  if not c.rescale_betas_zero_snr then return s end
  s = s:rescale_zero_terminal_snr()
  if finite then return with_signal(s) end
  return s
end

--- Raises if the signal of a level isn't that of diffusers.
---@param t number
---@param T integer
---@param lost integer|nil as schedule returns it
function betas.check(t, T, lost)
  if lost and t > lost - 1 and t < T then
    fail.raise("rescale_betas_zero_snr: a step is at timestep %.6g, where diffusers has less signal than at %d; take "
      .. "fewer steps", t - 1, T - 1)
  end
end

return betas
