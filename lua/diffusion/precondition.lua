--- A raw network F as a denoiser: D = c_skip x + c_out F(c_in x; c_noise), with x = x_t/a and its
--- noise sigma = s/a (Karras et al. 2022, eq. 7 and table 1).
-- Each kind is a target of the process: F of "edm" is its own, that of "vp" and "iddpm" is eps
-- (c_out = -sigma), that of "ve" is -eps. So nothing is divided by a = 0, and the network's
-- answer becomes whatever the process predicts.
local core = require "diffusion.core"
local answer = require "diffusion.answer"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local opts = require "diffusion.opts"
local named = require "diffusion.schedule.named"
local trained = require "diffusion.nn.trained"

local vp_low, vp_slope, vp_levels = 0.1, 19.9, 1000

-- ln(1 + x), exact for small x too.
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

-- The level of the cosine schedule whose sigma is nearest, counted from 0: M - 1 - j of u_j.
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

-- target: of F, with its sign; scale: c_in/a, what x_t is multiplied by; noise: c_noise
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
  fail.raise("precondition: x_t holds no signal at t = %g, and c_noise is of ln(s/a); take a schedule that keeps some",
    t)
end

-- c_noise of each level: a number where t is one.
local function noise_of(kind, schedule, t)
  if type(t) == "number" then return finite_noise(kind, schedule:sigma(t), t) end
  gradient.constant("precondition", "t", t)
  local list = core.is_tensor(t) and t:totable() or table.move(t, 1, #t, 1, {})
  for i, at in ipairs(list) do list[i] = finite_noise(kind, schedule:sigma(at), at) end
  return core.tensor(list)
end

-- The network's answer as what the process predicts; v beside it stays.
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

-- A network that was trained as another kind expects another noise.
local function check_kind(net, name)
  local known = trained.of(net)
  if not known or known.time == name then return end
  fail.raise("precondition: kind is '%s', but the network was trained %s", name, known.time == "t"
    and "to be told t" or ("with precondition = '%s'"):format(known.time))
end

--- A raw network as a denoiser of a process, its input and output scaled (Karras et al. 2022,
--- table 1). The network is called as (c_in x_t/a, c_noise, {class=}): "edm", c_in = 1/sqrt(sigma^2 +
--- sigma_data^2) and c_noise = ln(sigma)/4; "vp", 1/sqrt(sigma^2 + 1) and 999 t of the VP SDE; "ve", 1
--- and ln(sigma/2); "iddpm", as vp with the nearest level of the cosine schedule, counted from 0.
--- The network is what is trained and saved: an objective with precondition = kind takes it as it
--- is, and samplers take what is returned here. The losses of table 1 are weighting = "edm" with
--- times = "log_normal" for edm, and weighting = "simple" for the others.
---@param net any a network (x, noise, {class=}) -> as x, or twice as wide where the process learns its
---  variance
---@param process diffusion.process
---@param options diffusion.precondition_options?
---@return function denoiser (xt, t, {class=}) -> what the process predicts; an error where x_t holds no
---  signal
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
