-- PNDM and IPNDM: linear multistep methods in eps.
local betas = require "diffusion.hub.scheduler.betas"
local keys = require "diffusion.hub.scheduler.keys"
local named = require("diffusion.schedule").schedule
local grids = require("diffusion.grid").grid
local opts = require "diffusion.opts"
local spacing = require "diffusion.hub.scheduler.spacing"

local function pndm(c)
  local last = c.set_alpha_to_one and 0 or 1
  local function times(N)
    local list = spacing.levels(spacing.plain(c, N), c.num_train_timesteps, N)
    if list[#list] == last then list[#list] = nil end
    return list, last
  end
  return {
    schedule = betas.schedule(c), predict = keys.predict(c), times = times,
    sampler = { "plms", start = c.skip_prk_steps and "heun" or "runge_kutta",
                of = c.prediction_type == "v_prediction" and "v" or "eps" },
  }
end

-- s = sin^2(u pi/2) with u = t/T. The network gets the angle of (a, s).
local function ipndm(c)
  local T = c.num_train_timesteps
  local s = named.from_alpha_bar(function(u) return u == 1 and 0 or 1 - math.sin(u * math.pi / 2) ^ 4 end, { T = T })
  return {
    schedule = s, predict = "v", sampler = { "diffusers-ipndm-start-without-x0" },
    times = function(N) return grids.trailing(s, N, { round = false }):times(), 0 end,
    shown = function(t) return math.atan(s:noise(t), s:signal(t)) / math.pi * 2 end,
  }
end

local pndm_keys = opts.joined(keys.betas(), keys.predicts { "epsilon", "v_prediction" }, keys.spacing "leading",
  { skip_prk_steps = keys.flag(false), set_alpha_to_one = keys.flag(false) })
local ipndm_keys = { num_train_timesteps = keys.integer(1000, 1, 1000000),
                     trained_betas = keys.betas().trained_betas }

return {
  PNDMScheduler = { keys = pndm_keys, plan = pndm },
  IPNDMScheduler = { keys = ipndm_keys, plan = ipndm },
}
