-- Puts a wrong value into every option of many valid calls, and tells the messages that name
-- an inner line or nothing at all. Run in a folder of its own: some calls may write.
local d = require "diffusion"

local out = io.stdout
d.manual_seed(1)
d.warnings(false)
_ENV.print = function() end -- the shown value is not read

local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
local flow = d.process { schedule = d.schedule.flow { T = 10 }, predict = "flow" }
local model = d.mlp { hidden = 4, depth = 1 }
local set = d.data.toy.moons(40)
local x, pictures = d.randn(8, 2):clamp(-1, 1), d.randn(2, 8, 8, 1):clamp(-1, 1)
local function same(y) return y end
local function sums(y) return y:sum(2) end

-- ---- calls that are right: a name, a function of options, and the options -----------------------

local calls = {
  { "sample", d.sample, { model = model, process = process, shape = { 2, 2 }, sampler = "unipc", steps = 2, seed = 1,
    grid = "trailing", noise = "independent", self_condition = false, nan = "error" } },
  { "sampler.steps", d.sampler.steps, { model = model, process = process, init = x, sampler = { "ddim", eta = 0.5 },
    steps = 2, on_step = same } },
  { "process", d.process, { schedule = process.schedule, predict = "v", clip = 1, variance = "fixed_small",
    sigma_data = 1 } },
  { "objective", function(o) return d.objective(o)(model, x) end, { process = process, drop_class = 0.1,
    weighting = { "min_snr", gamma = 5 }, times = { "logit_normal", mean = 0 }, error = { "huber", delta = 1 },
    self_condition = 0, offset_noise = 0.1 } },
  { "unet", d.unet, { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 }, classes = 3,
    dropout = 0.1, heads = 1, groups = 4, outputs = 1 } },
  { "mlp", d.mlp, { dim = 2, hidden = 8, depth = 1, classes = 2 } },
  { "dit", d.dit, { image = { 8, 8, 1 }, patch = 2, width = 16, heads = 2, depth = 1, classes = 2 } },
  { "adamw", function(o) return d.adamw(model, o) end, { lr = 1e-3, betas = { 0.9, 0.99 }, epsilon = 1e-8,
    weight_decay = 0.1, clip = 1, groups = { { pattern = "bias", lr = 0 } }, accumulate = "mean" } },
  { "ema", function(o) return d.ema(model, o) end, { decay = { "half_life", steps = 5 } } },
  { "linear", d.schedule.linear, { T = 10, beta_start = 1e-4, beta_end = 0.001, rescale = true } },
  { "cosine", d.schedule.cosine, { T = 10, s = 0.008, max_beta = 0.9 } },
  { "sigmoid", d.schedule.sigmoid, { T = 10, start = -3, ["end"] = 3, tau = 1 } },
  { "ve", d.schedule.ve, { T = 10, sigma_min = 0.1, sigma_max = 5 } },
  { "karras", function(o) return d.grid.karras(process, 5, o) end, { sigma_min = 0.2, sigma_max = 10, rho = 7 } },
  { "batches", function(o) return set:batches(o)() end, { size = 4, steps = 3, shuffle = true, seed = 1,
    flip = false } },
  { "set", d.data.set, { x = x, class = { 1, 1, 1, 1, 2, 2, 2, 2 }, classes = 2, names = { "a", "b" }, name = "q" } },
  { "trainer", function(o) return d.trainer(o):run() end, { model = model,
    objective = d.objective { process = process },
    opt = d.adamw(model), batches = set:batches { size = 4, steps = 2 }, quiet = true, save_every = 5,
    on_step = same } },
  { "vlb", function(o) return d.likelihood.vlb(model, process, x, o) end, { t = 3, seed = 1, decoder = "erf",
    bins = 256,
    clip = false } },
  { "ode", function(o) return d.likelihood.ode(model, process, x, o) end, { divergence = "exact", probes = 1, seed = 1,
    from = 1, to = 9, atol = 1e-2, rtol = 1e-2 } },
  { "estimate_variance", function(o) return d.estimate_variance(model, process, x, o) end, { levels = 3, batch = 4,
    rounds = 1, seed = 1 } },
  { "img2img", d.edit.img2img, { model = model, process = process, x0 = x, strength = 0.5, steps = 2, sampler = "ddim",
    seed = 1 } },
  { "repaint", d.edit.repaint, { model = model, process = process, x0 = x, keep = d.ones(8, 2), steps = 3, jump = 1,
    resample = 2, seed = 1 } },
  { "invert", d.edit.invert, { model = model, process = process, x0 = x, steps = 2, exact = false, tolerance = 1e-3,
    iterations = 3 } },
  { "interpolate", d.edit.interpolate, { model = model, process = process, a = x, b = x, u = { 0, 1 },
    steps = 2, at = 5,
    by = "noise" } },
  { "cfg", function(o) return d.guidance.cfg(model, o)(x, 5, { class = 0 }) end, { scale = 2, rescale = 0.5,
    interval = { 1, 5 } } },
  { "gradient", function(o) return d.guidance.gradient(model, process, sums, o)(x, 5) end, { scale = 1, of = "x0",
    interval = { 1, 9 } } },
  { "precondition", function(o) return d.precondition(same, process, o)(x, 5) end, { kind = "vp" } },
  { "mixture", function(o) return d.oracle.mixture(o):sample(3) end, { means = { { 0, 0 }, { 1, 1 } }, std = 1,
    weights = { 1, 2 } } },
  { "gaussian", function(o) return d.oracle.gaussian(o):sample(3) end, { mean = { 0, 0 }, cov = { { 1, 0 },
    { 0, 1 } } } },
  { "moons", function(o) return d.data.toy.moons(5, o) end, { seed = 1, noise = 0.1 } },
  { "energy", function(o) return d.metric.energy(x, x, o) end, { interval = true, permutations = 3, seed = 1 } },
  { "mmd", function(o) return d.metric.mmd(x, x, o) end, { interval = true, permutations = 3, seed = 1 } },
  { "kid", function(o) return d.metric.kid(x, x, o) end, { interval = true, permutations = 3, seed = 1 } },
  { "sliced", function(o) return d.metric.sliced_wasserstein(x, x, o) end, { projections = 4, p = 1, seed = 1 } },
  { "moments", function(o) return d.check.moments("ddim", o) end, { process = process, steps = 3, mean = 0, std = 1 } },
  { "image.grid", function(o) return d.image.grid(pictures, o) end, { columns = 1, pad = 1, scale = 2 } },
  { "draw", function(o) return d.image.draw(pictures, o) end, { columns = 1, width = 20, style = "ascii",
    label = "a" } },
  { "reflow", function(o) return d.reflow(same, flow, o) end, { shape = { 4, 2 }, size = 2, sampler = "ddim", steps = 2,
    seed = 1 } },
  { "generator", d.generator, { kind = "torch", seed = 1 } },
  { "warmup_cosine", function(o) return d.lr.warmup_cosine(o)(3) end, { peak = 1, warmup = 2, total = 10 } },
  { "q_sample", function(o) return process:q_sample(x, 5, o) end, { seed = 1, from = 2 } },
  { "convert", function(o) return process:convert(x, o) end, { from = "eps", to = "x0", xt = x, t = 5 } },
  { "backward", function(o) d.record(function() return model(x, 1):sum() end):backward(o) end, { keep = true } },
  { "group_norm", function(o) return x:group_norm(nil, nil, o) end, { groups = 1, epsilon = 1e-3, silu = true,
    dropout = 0.1 } },
  { "conv2d", function(o) return pictures:conv2d(d.randn(2, 3, 3, 1), nil, o) end, { stride = 1, pad = 1 } },
  { "allclose", function(o) return x:allclose(x, o) end, { rtol = 1, atol = 1 } },
  { "norm_conv", function(o) return d.nn.norm_conv(8, 8, o) end, { kernel = 3, stride = 1, pad = 1, bias = true,
    init = "zero", groups = 2, act = "silu" } },
  { "step", function(o)
    return d.sampler.step("ddpm", function(y) return y, y end, process, o)(x, { t = 5, s = 4, i = 1, n = 2 }, {})
  end, { seed = 1, nan = "error" } },
}

-- ---- a wrong value --------------------------------------------------------------------------

local nan = 0 / 0
local odd = { nan, -1, 1.5, "zzz", true, false, same, {}, { {} }, { nosuch = 1 }, { 1, "a" }, io.stdout, x,
              model, process,
              1e300, math.huge, 0, set, { same }, { -1, 2 }, { nan } }

local patterns = { "'%?'", "lua/diffusion/[%w_/]*%.lua:%d+", "attempt to", "stack overflow", "for iterator",
                   "table: 0x",
                   "function: ", "userdata: ", "%-nan", "invalid value %(at index", "got no value" }

local function fault_of(message)
  if type(message) ~= "string" then return "no string" end
  for _, pattern in ipairs(patterns) do
    if message:find(pattern) then return pattern end
  end
  local placed = message:find "^[^\n]*wrong_options%.lua:%d+: " or message:find "^bad argument #"
  return not placed and "no line"
end

local function called(f, o)
  f(o)
  return nil
end

local done, seen = 0, {}

local function try(name, f, options, key, value)
  local o = {}
  for k, v in pairs(options) do o[k] = v end
  o[key] = value
  done = done + 1
  local fine, message = pcall(called, f, o)
  local fault = not fine and fault_of(message)
  local which = fault and name .. key .. tostring(message):gsub("%d+", "")
  if fault and not seen[which] then
    seen[which] = true
    out:write(("%s{%s}: %s\n"):format(name, key, message))
  end
end

for _, call in ipairs(calls) do
  local name, f, options = table.unpack(call)
  local fine, message = pcall(called, f, options)
  if not fine then out:write(("%s is no valid call: %s\n"):format(name, message)) end
  for key in pairs(options) do
    for _, value in ipairs(odd) do try(name, f, options, key, value) end
  end
end
out:write(("%d calls\n"):format(done))
