--- Guidance by an energy of one's own: p(x) is tilted to p(x) exp(-scale E(x)).
-- The score moves by -scale times the gradient of E: of an energy of x_t, or of the model's x0, whose
-- gradient goes back through the denoiser (Chung et al. 2023, "Diffusion posterior sampling for general
-- noisy inverse problems", algorithm 1: E = |y - A x0|^2).
local answer = require "diffusion.answer"
local tape = require "diffusion.gradient"
local shift = require "diffusion.guidance.shift"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"
local opts = require "diffusion.opts"

local rules = {
  scale = { "number", default = 1 },
  of = { one_of = { "xt", "x0" }, default = "xt" },
  interval = { "table" },
}

local function checked(value, x) return answer.per_sample("gradient: energy", value, x):sum() end

-- The model's answer, and the gradient of an energy of x_t.
local function of_xt(_, model, energy, xt, t, given)
  local g = tape.grad(function(x) return checked(energy(x, t, given), x) end, xt)
  return strength.answer("gradient", (model(xt, t, given)), xt), g
end

-- The same of an energy of x0, as the model's answer says it unclipped: a value at its limit
-- has no gradient.
local function of_x0(process, model, energy, xt, t, given)
  local g, _, out = tape.grad(function(x)
    local said = answer.of_denoiser("gradient", (model(x, t, given)), x, process.outputs)
    local x0 = process:convert((process:split(said)), { from = process.predict, to = "x0", xt = x, t = t })
    return checked(energy(x0, t, given), x0), said
  end, xt)
  return out, g
end

--- A denoiser guided down an energy: -scale times its gradient with respect to x_t is added to the
--- score. Of "x0" it is the energy of the model's x0, unclipped, through the denoiser (Chung et al.
--- 2023, algorithm 1). Parameters count as constants, and their .grad isn't touched.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param energy function (x, t, {class=}) -> {B}, or a sum over the samples; x is x_t or x0
---@param options table? {scale = 1, of = "xt" | "x0", interval = {low, high} in t: guided only
---  for low <= t <= high}
---@return function denoiser
---@usage local model, process = d.load_model "digits"
--- local function dark_below(x0) return (x0:narrow(2, 5, 4) + 1):square():sum({ 2, 3, 4 }) end
--- local guided = d.guidance.gradient(model, process, dark_below, { scale = 0.1, of = "x0" })
--- d.image.show(d.sample{ model = guided, process = process, shape = { 1, 8, 8, 1 }, steps = 10 })
return function(model, process, energy, options)
  opts.denoiser("gradient", model)
  opts.process("gradient", 2, process, "model, process, energy, options")
  trained.check("gradient", model, process)
  opts.callable("gradient", "energy", energy)
  local o = opts.check("gradient", options, rules, 4)
  o.interval = strength.interval("gradient", o.interval)
  local both = o.of == "x0" and of_x0 or of_xt
  return trained.wrap(function(xt, t, given)
    local scale = strength.at(o, t, 0)
    if scale == 0 then return (model(xt, t, given)) end
    local out, g = both(process, model, energy, xt, t, given)
    return shift("gradient", process, out, -g, t, scale)
  end, model)
end
