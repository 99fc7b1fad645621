--- Makes a denoiser of a raw network F: D = c_skip x + c_out F(c_in x; c_noise). Here x = x_t/a,
--- with the noise sigma = s/a (Karras et al. 2022, eq. 7 and table 1).
-- Each kind is a target of the process. F predicts "edm" itself, eps for "vp" and "iddpm" (c_out =
-- -sigma), or -eps for "ve". So nothing is divided by a = 0, and the network's output is converted
-- to the process's target.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"
local named = require "diffusion.schedule.named"
local trained = require "diffusion.nn.trained"

local vp_low, vp_slope, vp_levels = 0.1, 19.9, 1000

-- ln(1 + x), accurate for small x too.
local function log1p(x)
  local y = 1 + x
  return y == 1 and x or math.log(y) * x / (y - 1)
end

-- (M - 1) t, with sigma^2 = exp(slope t^2/2 + low t) - 1 of the VP SDE.
local function vp_noise(sigma)
  local l = log1p(sigma ^ 2)
  local t = 2 * l / (math.sqrt(vp_low ^ 2 + 2 * vp_slope * l) + vp_low) -- the root, without a difference
  return (vp_levels - 1) * t
end

-- The nearest level of the cosine schedule by sigma, counted from 0: M - 1 - j of u_j.
local cosine
local function iddpm_noise(sigma)
  cosine = cosine or named.cosine { T = 1000 }
  local low, high = 1, 1000
  while high - low > 1 do
    local middle = (low + high) // 2
    if cosine:sigma(middle) <= sigma then low = middle else high = middle end
  end
  local nearer = cosine:sigma(high) - sigma < sigma - cosine:sigma(low) and high or low
  return nearer - 1
end

local function unit(a, s) return (s ^ 2 + a ^ 2) ^ -0.5 end

-- target: the target of F, with its sign; scale: c_in/a, the factor of x_t; noise: c_noise
local kinds = {
  edm = { target = "edm", sign = 1, noise = function(sigma) return math.log(sigma) / 4 end,
          scale = function(a, s, d) return (s ^ 2 + a ^ 2 * d ^ 2) ^ -0.5 end },
  vp = { target = "eps", sign = 1, noise = vp_noise, scale = unit },
  ve = { target = "eps", sign = -1, noise = function(sigma) return math.log(sigma / 2) end,
         scale = function(a) return a ^ -1 end },
  iddpm = { target = "eps", sign = 1, noise = iddpm_noise, scale = unit },
}

local function finite_noise(kind, sigma, t)
  if sigma < math.huge then return kind.noise(sigma) end
  fail.raise("precondition: x_t holds no signal at t = %g, and c_noise is of ln(s/a); take a schedule that "
    .. "keeps some signal", t)
end

-- c_noise of each level, or a number if t is one.
local function noise_of(kind, schedule, t)
  if type(t) == "number" then return finite_noise(kind, schedule:sigma(t), t) end
  gradient.constant("precondition", "t", t)
  local list = core.is_tensor(t) and t:totable() or table.move(t, 1, #t, 1, {})
  for i, at in ipairs(list) do list[i] = finite_noise(kind, schedule:sigma(at), at) end
  return core.tensor(list)
end

-- The network's output as the process's target. The v next to it isn't changed.
local function converted(process, kind, out, xt, t)
  local value, v = process:split(out)
  if kind.sign < 0 then value = -value end
  value = process:convert(value, { from = kind.target, to = process.predict, xt = xt, t = t })
  return v and core.ops.cat({ value, v }, -1) or value
end

local rules = opts.declare("precondition", {
  kind = { one_of = { "edm", "vp", "ve", "iddpm" }, default = "edm", text = "the row of the paper's table 1" },
})

-- The denoiser of a raw network. Its training is not checked.
local function scaled(net, process, name)
  local kind, schedule = kinds[name], process.schedule
  return function(xt, t, given)
    local noise = noise_of(kind, schedule, t)
    local scale = kind.scale(schedule:signal(t), schedule:noise(t), process.sigma_data)
    local out = answer.of_denoiser("precondition", net(core.ops.mix(scale, xt), noise, given), xt, process.outputs)
    return converted(process, kind, out, xt, t)
  end
end

-- A network that was trained as another kind expects other noise levels.
local function check_kind(net, name)
  local known = trained.of(net)
  if not known or known.time == name then return end
  fail.raise("precondition: kind is '%s', but the network was trained %s", name, known.time == "t"
    and "on t" or ("with precondition = '%s'"):format(known.time))
end

--- Makes a denoiser of a raw network, with its input and output scaled (Karras et al. 2022, table
--- 1). The network is called as (c_in x_t/a, c_noise, {class=}). The scales are:
---   edm: c_in = 1/sqrt(sigma^2 + sigma_data^2), c_noise = ln(sigma)/4
---   vp: c_in = 1/sqrt(sigma^2 + 1), c_noise = 999 t of the VP SDE
---   ve: c_in = 1, c_noise = ln(sigma/2)
---   iddpm: as vp, with the nearest level of the cosine schedule, counted from 0
---
--- The raw network is trained and saved: an objective with precondition = kind takes it. Samplers
--- take the function that is returned here. The losses of table 1 are weighting = "edm"
--- with times = "log_normal" for edm, and weighting = "simple" for the others.
---@param net any a network (x, noise, {class=}) -> as x, or twice as wide if the process learns its variance
---@param process diffusion.process
---@param options diffusion.precondition_options?
---@return function denoiser (xt, t, {class=}) -> the process's target; it raises if x_t holds no signal
---@usage local process = d.process{ schedule = d.schedule.edm{}, predict = "edm", sigma_data = 1 }
--- local net = d.mlp{ hidden = 16, depth = 1 }
--- local loss_of = d.objective{ process = process, weighting = "edm", times = "log_normal", precondition = "edm" }
--- print(d.record(loss_of, net, d.randn(8, 2)):item())
--- local model = d.precondition(net, process)
--- print(d.sample{ model = model, process = process, shape = { 4, 2 }, steps = 10 })
local function precondition(net, process, options)
  opts.denoiser("precondition", net)
  opts.process("precondition", 2, process, "net, process, options")
  local name = opts.check("precondition", options, rules, 3).kind
  check_kind(net, name)
  local denoiser = scaled(net, process, name)
  trained.learn(denoiser, process)
  return denoiser
end

return { precondition = precondition, scaled = scaled }
