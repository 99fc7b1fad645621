--- Classifier guidance: Dhariwal & Nichol 2021, algorithm 2, in any target.
-- The score of p(x_t | y) is that of p(x_t) and the gradient of ln p(y | x_t): eps moves by -s scale
-- times that, and x0 is told from eps afterwards. The classifier must know of noise: p(y | x_t) is the
-- mean of p(y | x0) over what x0 may be.
local core = require "diffusion.core"
local gradient = require "diffusion.gradient"
local networks = require "diffusion.nn.model"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local shift = require "diffusion.guidance.shift"
local strength = require "diffusion.guidance.strength"
local trained = require "diffusion.nn.trained"

local rules = {
  scale = { "number", default = 1 },
  interval = { "table" },
}

-- A class of 0 is none: false where there is no other; else the classes with a 1 in each such place,
-- which log_prob can be asked about, and where they stand, or nil.
local function asked(class)
  if class == nil or class == 0 then return false end
  local listed, each = type(class) == "table", fail.call(core.whole, "classifier: class", class)
  if type(class) == "number" then return class end
  local none = each:eq(0)
  if none:all() then return false end
  if not none:any() then return class end
  local filled = core.ops.where(none, core.ones(each:shape(), { dtype = each:dtype() }), each)
  return listed and filled:totable() or filled, none
end

-- What the model itself is told: no class where it was made without any, as for algorithm 2 it may be.
local function told(model, given)
  if not given or networks.takes_class(model) then return given end
  return strength.without_class(given)
end

-- The gradient with nothing for samples without a class.
local function masked(g, none)
  if not none then return g end
  return g * none:eq(0):to(g:dtype()):over(g)
end

--- A denoiser guided by a classifier of noisy x (Dhariwal & Nichol 2021, algorithm 2): scale times
--- the gradient of log_prob is added to the score. The gradient is that of x alone; parameters
--- count as constants, and their .grad isn't touched. A call without a class, or with 0
--- for all, as one half of cfg's, is the model's own, and so is a sample with class 0 among others.
--- A network made without classes isn't told any; other models are.
---@param model any a denoiser (xt, t, {class=})
---@param process diffusion.process
---@param log_prob function (xt, t, class) -> ln p(class | xt), {B}
---@param options table? {scale = 1, interval = {low, high} in t: guided only for low <= t <=
---  high}
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
  local o = opts.check("classifier", options, rules, 4)
  o.interval = strength.interval("classifier", o.interval)
  return trained.wrap(function(xt, t, given)
    local out = strength.answer("classifier", (model(xt, t, told(model, given))), xt)
    local scale = strength.at(o, t, 0)
    local class, none = asked(given and given.class)
    if not class or scale == 0 then return out end
    local g = gradient.grad(function(x)
      return answer.per_sample("classifier: log_prob", log_prob(x, t, class), x):sum()
    end, xt)
    return shift("classifier", process, out, masked(g, none), t, scale)
  end, model)
end
