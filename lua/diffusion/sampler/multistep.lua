--- Functions that multistep solvers share: they remember values of earlier steps, and give the
--- weights of the polynomial through them.
local levels = require "diffusion.sampler.levels"
local order = require "diffusion.sampler.order"

local multistep = {
  -- weights of Adams-Bashforth for one to four values at equal steps, newest first
  adams = { { 1 }, { 3 / 2, -1 / 2 }, { 23 / 12, -16 / 12, 5 / 12 }, { 55 / 24, -59 / 24, 37 / 24, -9 / 24 } },
}

--- Puts a value of this step and its place (lambda, sigma ...) before those of earlier steps, and
--- keeps the newest `most`. An infinite place ends the list, since no polynomial passes through it.
---@param history table the solver's own; sets history.past
---@param value diffusion.tensor
---@param place number
---@param most integer
---@return {value: diffusion.tensor, place: number}[] past newest first
function multistep.remember(history, value, place, most)
  local past = { { value = value, place = place } }
  for i, old in ipairs(history.past or {}) do
    if i < most and math.abs(old.place) < math.huge then past[i + 1] = old end
  end
  history.past = past
  return past
end

--- A solver whose steps use the values of eps that its order allows. At s = 0 its step returns x0, and a step of no
--- length returns x.
---@param step fun(opts: table, x: diffusion.tensor, t: table, s: table, used: table[]): diffusion.tensor the step
---  between two levels by these values, newest first
---@return function make as families.lua describes it
function multistep.of_eps(step)
  return function(denoise, process, opts)
    local level = levels.of(process)
    return function(x, pair, history)
      local t, s = level(pair.t), level(pair.s)
      local x0, eps = denoise(x, t.t)
      local past = multistep.remember(history, eps, t.lambda, opts.order)
      if s.t == 0 then return x0 end
      if s.t == t.t then return x end
      return step(opts, x, t, s, order.newest(past, opts, pair, opts.order))
    end
  end
end

--- The weights w_k with sum_k w_k r_k^j = moment_j for j = 0 .. n-1. They give a linear functional of
--- polynomials from their values at the nodes r_k (Bjorck & Pereyra 1970, the primal system).
---@param nodes number[] n distinct numbers
---@param moments number[] n numbers; moments[1] is that of r^0
---@return number[]
function multistep.weights(nodes, moments)
  local n, w = #nodes, table.move(moments, 1, #nodes, 1, {})
  for k = 1, n - 1 do
    for j = n, k + 1, -1 do w[j] = w[j] - nodes[k] * w[j - 1] end
  end
  for k = n - 1, 1, -1 do
    for j = k + 1, n do w[j] = w[j] / (nodes[j] - nodes[j - k]) end
    for j = k, n - 1 do w[j] = w[j] - w[j + 1] end
  end
  return w
end

--- c x + gain (w_1 value_1 + w_2 value_2 + ...), in one pass.
---@param mix function
---@param c number
---@param x diffusion.tensor
---@param gain number
---@param w number[]
---@param past {value: diffusion.tensor}[]
---@return diffusion.tensor
function multistep.sum(mix, c, x, gain, w, past)
  local terms = { c, x }
  for i, weight in ipairs(w) do
    terms[2 * i + 1], terms[2 * i + 2] = gain * weight, past[i].value
  end
  return mix(table.unpack(terms))
end

return multistep
