--- Samplers of other libraries by name: which of ours, with which options, computes the same.
-- A name that ends in a defect reproduces that defect (peers.lua). A name without one is correct, and
-- agrees with the other library.
local opts = require "diffusion.opts"
local peers = require "diffusion.sampler.peers"

local all = math.maxinteger

-- {sampler, option = ...} by name. diffusers lowers the order at the end of runs of fewer than 15
-- steps (lower_order_final). For UniPC it does so in runs of any length.
local presets = {
  ["diffusers-ddpm"] = { "ddpm" },
  ["diffusers-unclip"] = { "ddpm" },
  ["diffusers-ddim"] = { "ddim" },
  ["diffusers-pndm"] = { "plms", start = "runge_kutta" },
  ["diffusers-pndm-skip-prk"] = { "plms", start = "heun" },
  ["diffusers-pndm-multistep-in-v"] = { "plms", start = "runge_kutta", of = "v" },
  ["diffusers-euler"] = { "euler" },
  ["diffusers-euler-ancestral"] = { "euler_ancestral" },
  ["diffusers-heun"] = { "heun" },
  ["diffusers-lms"] = { "lms", final = true },
  ["diffusers-lms-of-missing-slopes"] = { "diffusers-lms-of-missing-slopes", skipped = {} },
  ["diffusers-kdpm2"] = { "dpm2" },
  ["diffusers-kdpm2-ancestral"] = { "dpm2_ancestral" },
  ["diffusers-edm-euler"] = { "euler" },
  ["diffusers-dpmpp-1"] = { "ddim" },
  ["diffusers-dpmpp-2m"] = { "dpmpp_2m", lower_order_final = 15 },
  ["diffusers-dpmpp-2m-inverse"] = { "dpmpp_2m_inversion", lower_order_final = 15 },
  ["diffusers-dpmpp-3m-half-second-difference"] = { "dpmpp_3m", d2 = 1, lower_order_final = 15 },
  ["diffusers-dpm-1"] = { "ddim" },
  ["diffusers-dpm-2m"] = { "dpm_solver_multistep", order = 2, lower_order_final = 15 },
  ["diffusers-dpm-3m-half-second-difference"] = { "dpm_solver_multistep", order = 3, d2 = 1, lower_order_final = 15 },
  ["diffusers-dpmpp-1-sde"] = { "ddim", eta = 1 },
  ["diffusers-dpmpp-2m-sde"] = { "dpmpp_2m_sde" },
  ["diffusers-dpmpp-3m-sde-wrong-sign"] = { "diffusers-dpmpp-3m-sde-wrong-sign", lower_order_final = 15 },
  ["diffusers-dpmpp-singlestep"] = { "dpmpp_singlestep" },
  ["diffusers-dpm-singlestep"] = { "dpm_solver_singlestep" },
  ["diffusers-deis"] = { "deis", order = 2, lower_order_final = 15 },
  ["diffusers-unipc"] = { "unipc", lower_order_final = all },
  ["diffusers-unipc-eps"] = { "unipc_eps", lower_order_final = all },
  ["diffusers-sa"] = { "sa_solver", variant = "bh1", lower_order_final = all },
  ["diffusers-lcm"] = { "lcm" },
  ["diffusers-tcd"] = { "tcd" },
  ["diffusers-consistency"] = { "consistency" },
  ["diffusers-flow-euler"] = { "flow_euler" },
  ["diffusers-flow-heun"] = { "flow_heun" },
  ["dpm-solver-2m"] = { "dpmpp_2m", lower_order_final = 10 },
  ["dpm-solver-3m-half-second-difference"] = { "dpmpp_3m", d2 = 1, lower_order_final = 10 },
  ["edm-heun"] = { "heun" },
  ["edm-churn"] = { "heun", s_churn = 40, s_tmin = 0.05, s_tmax = 50, s_noise = 1.003 },
  ["guided-diffusion-ddpm"] = { "ddpm" },
  ["guided-diffusion-ddim"] = { "ddim" },
  ["k-diffusion-lms"] = { "lms", final = true },
  ["k-diffusion-dpmpp-2m"] = { "dpmpp_2m" },
  ["k-diffusion-dpmpp-2m-sde"] = { "dpmpp_2m_sde" },
  ["k-diffusion-dpmpp-3m-sde-half-second-difference"] = { "dpmpp_3m_sde", d2 = 1 },
  ["lucidrains-ddpm"] = { "ddpm" },
  ["lucidrains-ddim"] = { "ddim" },
}
for name in pairs(peers) do presets[name] = presets[name] or { name } end

local names = opts.names(presets)

local preset = {}

--- The sampler and options that a name stands for, or nil if there is no such name.
---@param name any
---@param options table|nil
---@return table|nil {sampler, option = ...}
function preset.find(name, options)
  if not presets[name] then return nil end
  local out = {}
  for key, value in pairs(presets[name]) do out[key] = value end
  for key, value in pairs(options or {}) do out[key] = value end
  return out
end

--- The names of all presets, sorted.
---@return string[]
function preset.names() return table.move(names, 1, #names, 1, {}) end

return preset
