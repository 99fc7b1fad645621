--- DPM-Solver and DPM-Solver++ whose levels in between are those of the grid. k steps of the grid
--- make one block of order k, with one evaluation each. DPM-Solver-fast counts its steps this way
--- (Lu et al. 2022, "DPM-Solver", sec. 3.4). At s = 0 the step returns x0.
local blocks = require "diffusion.sampler.block"
local expansion = require "diffusion.sampler.expansion"
local levels = require "diffusion.sampler.levels"
local multistep = require "diffusion.sampler.multistep"

local function singlestep(kind)
  return function(denoise, process, opts)
    local level = levels.of(process)
    return function(x, pair, history)
      local t, s = level(pair.t), level(pair.s)
      local x0, eps = denoise(x, t.t)
      local block = blocks.add(history, opts, pair, x, t.t, { value = kind == "x0" and x0 or eps, place = t.lambda })
      if s.t == 0 then return x0 end
      local start = level(history.t)
      if s.t == start.t then return x end
      local keep, scale, g = expansion[kind](start, s)
      local w = blocks.weights(g, s.lambda - start.lambda, block, opts.form)
      return multistep.sum(opts.mix, keep, history.x, scale, w, block)
    end
  end
end

return {
  dpmpp_singlestep = { make = singlestep "x0", source = 'Lu et al. 2022, "DPM-Solver++", at levels of the grid',
    order = 2, remembers = blocks.remembers, rules = blocks.rules },
  dpm_solver_singlestep = { make = singlestep "eps", source = 'Lu et al. 2022, "DPM-Solver", sec. 3.4',
    order = 2, signal = true, remembers = blocks.remembers, rules = blocks.rules },
}
