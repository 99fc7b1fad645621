-- Classifier guidance: Dhariwal & Nichol 2021, algorithm 2, for any prediction target.
-- The score of p(x_t | y) is the score of p(x_t) plus the gradient of ln p(y | x_t). So eps moves by
-- -s scale times that gradient, and x0 follows from eps. The classifier must be trained on noisy
-- samples: p(y | x_t) is the mean of p(y | x0) over the x0 that x_t may come from.
local classes = require "diffusion.classes"
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local networks = require "diffusion.nn.model"
local answer = require "diffusion.answer"
local opts = require "diffusion.opts"
local shift = require "diffusion.guidance.shift"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"

local rules = opts.declare("guidance_classifier", {
  scale = { "number", default = 1, text = "factor of the gradient" }, interval = strength.rules.interval,
})

-- The classes to evaluate log_prob for, and a mask of the samples without one (class 0), or nil.
-- Those samples get class 1, since log_prob may not take 0. Returns nil if no sample has a class.
local function wanted(class, B)
  local each = classes.of("classifier", class, B)
  local none = each and each:eq(0)
  if not each or none:all() then return nil end
  if not none:any() then return class end
  local filled = core.ops.where(none, core.ones({ B }, { dtype = each:dtype() }), each)
  return type(class) == "table" and filled:totable() or filled, none
end

-- The options for the model itself: without the class if it is unconditional.
local function model_options(model, given)
  if not given or networks.takes_class(model) then return given end
  return strength.without_class(given)
end

-- The gradient, 0 for samples without a class.
local function masked(g, none)
  if not none then return g end
  return g * none:eq(0):to(g:dtype()):over(g)
end

--- A denoiser guided by a classifier of noisy x (Dhariwal & Nichol 2021, algorithm 2): scale times
--- the gradient of log_prob is added to the score. The gradient is with respect to x alone, and
--- parameters' .grad is not changed. Samples of class 0, and calls without a class, are not guided.
--- An unconditional network is called without the class.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param log_prob function (xt, t, class) -> ln p(class | xt), {B}
---@param options diffusion.guidance_classifier_options?
---@return function denoiser
---@usage local p = d.process{ schedule = d.schedule.cosine{}, predict = "eps" }
--- local left, right = d.oracle.gaussian{ mean = { -1 }, std = 0.3 }, d.oracle.gaussian{ mean = { 1 }, std = 0.3 }
--- local both = d.oracle.mixture{ means = { { -1 }, { 1 } }, std = 0.3 }
--- local function log_prob(xt, t) return right:log_prob(xt, p, t) - both:log_prob(xt, p, t) end
--- local guided = d.guidance.classifier(both:denoiser(p), p, log_prob)
--- print(d.sample{ model = guided, process = p, shape = { 8, 1 }, steps = 20, class = 2 }, left, right)
return function(model, process, log_prob, options)
  opts.denoiser("classifier", model)
  opts.process("classifier", 2, process, "model, process, log_prob, options")
  trained.check("classifier", model, process)
  opts.callable("classifier", "log_prob", log_prob)
  local o = strength.options("classifier", model, options, rules, 4)
  return trained.wrap(function(xt, t, given)
    local out = strength.answer("classifier", (model(xt, t, model_options(model, given))), xt)
    local scale = strength.at(o, t, 0)
    local class, none = wanted(given and given.class, xt:size(1))
    if not class or scale == 0 then return out end
    local g = gradient.grad(function(x)
      return answer.per_sample("classifier: log_prob", log_prob(x, t, class), x):sum()
    end, xt)
    return shift("classifier", process, out, masked(g, none), t, scale)
  end, model)
end
