-- Guidance by a user's energy: p(x) becomes p(x) exp(-scale E(x)).
-- The score moves by -scale times the gradient of E. E is a function of x_t, or of the predicted x0.
-- The gradient of the latter goes back through the denoiser (Chung et al. 2023, "Diffusion posterior
-- sampling for general noisy inverse problems", algorithm 1: E = |y - A x0|^2).
local answer = require "diffusion.answer"
local tape = require "diffusion.gradient"
local shift = require "diffusion.guidance.shift"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"
local opts = require "diffusion.opts"

local rules = opts.declare("guidance_gradient", {
  scale = { "number", default = 1, text = "factor of the gradient" },
  of = { one_of = { "xt", "x0" }, default = "xt", text = "the argument of the energy: x_t or the predicted x0" },
  interval = strength.rules.interval,
})

local function checked(value, x) return answer.per_sample("gradient: energy", value, x):sum() end

-- The model's output, and the gradient of an energy of x_t.
local function of_xt(_, model, energy, xt, t, given)
  local g = tape.grad(function(x) return checked(energy(x, t, given), x) end, xt)
  return strength.answer("gradient", (model(xt, t, given)), xt), g
end

-- The same for an energy of the predicted x0. It is not clipped, since clipped values have no
-- gradient.
local function of_x0(process, model, energy, xt, t, given)
  local g, _, out = tape.grad(function(x)
    local said = answer.of_denoiser("gradient", (model(x, t, given)), x, process.outputs)
    local x0 = process:convert((process:split(said)), { from = process.predict, to = "x0", xt = x, t = t })
    return checked(energy(x0, t, given), x0), said
  end, xt)
  return out, g
end

--- A denoiser guided down an energy: -scale times its gradient with respect to x_t is added to the
--- score. With of = "x0" it is the energy of the predicted x0, unclipped, and the gradient goes
--- through the denoiser (Chung et al. 2023, algorithm 1). Parameters' .grad is not changed.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param energy function (x, t, {class=}) -> {B}, or a sum over the samples; x is x_t or x0
---@param options diffusion.guidance_gradient_options?
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
  local o = strength.options("gradient", model, options, rules, 4)
  local both = o.of == "x0" and of_x0 or of_xt
  return trained.wrap(function(xt, t, given)
    local scale = strength.at(o, t, 0)
    if scale == 0 then return (model(xt, t, given)) end
    local out, g = both(process, model, energy, xt, t, given)
    return shift("gradient", process, out, -g, t, scale)
  end, model)
end
