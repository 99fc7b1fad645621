-- Lesson 0: a tour of diffusion models, from one step of noise to drawn pictures. Each stop says what
-- happens, compares a formula with numbers, and draws a picture.
-- Run: lua5.4 examples/00_tour.lua [folder]     Writes a picture a stop into tour/ or the folder.
local d = require "diffusion"

local folder = arg[1] or "tour"
os.execute("mkdir -p '" .. folder .. "'")

local stops = 0
local function stop(title)
  stops = stops + 1
  print(("\n%s\n%d. %s\n"):format(("-"):rep(90), stops, title))
end

local function say(text, ...) print((text:format(...))) end

local function picture(name, x, options) -- x is {B,H,W,C}
  local path = ("%s/%02d_%s.png"):format(folder, stops, name)
  assert(d.image.save(path, d.image.grid(x, options)))
  say("Picture: %s", path)
end

local function curves(name, series, options)
  options.file = ("%s/%02d_%s.png"):format(folder, stops, name)
  local drawn, message = d.plot.lines(series, options)
  say(drawn and "Picture: %s" or "No picture %s: %s", options.file, message)
end

local function normal(x, mean, variance)
  return math.exp(-(x - mean) ^ 2 / (2 * variance)) / math.sqrt(2 * math.pi * variance)
end

-- A function on a grid, as a series of a plot.
local function series(name, f, low, high)
  local x, y = {}, {}
  for i = 0, 300 do
    x[i + 1] = low + (high - low) * i / 300
    y[i + 1] = f(x[i + 1])
  end
  return { name, y, x }
end

d.manual_seed(1)
local schedule = d.schedule.linear { T = 1000 } -- beta from 0.0001 to 0.02
local process = d.process { schedule = schedule }
local digit = d.image.to_float(d.data.digits().x:narrow(1, 5, 1)) -- {1,8,8,1} in [-1, 1]

stop "One step of noise"
say [[
A diffusion model learns to undo noise. So noise comes first. The forward process makes a picture
a little smaller and adds a little noise. It does so a thousand times:

    q(x_t | x_t-1) = N( sqrt(1 - beta_t) x_t-1,  beta_t )             (Ho et al. 2020, eq. 2)
]]
for _, t in ipairs { 1, 500, 1000 } do
  local beta = schedule:beta(t)
  local before = digit:expand(4000, 8, 8, 1)
  local noise = process:q_step(before, t, { seed = 2 }) - math.sqrt(1 - beta) * before
  say("t = %4d: beta = %.6f. The picture is multiplied by %.6f. The variance of the noise is %.6f measured.",
    t, beta, math.sqrt(1 - beta), noise:var():item())
end
local walked, at_500 = { digit }, nil
for t, xt in process:chain(digit:expand(2000, 8, 8, 1), { seed = 1 }) do
  if t == 500 then at_500 = xt end
  if t % 100 == 0 then walked[#walked + 1] = xt:narrow(1, 1, 1) end
end
say "\nA digit, and the same digit after 100, 200 ... 1000 steps. At the end nothing of it is left."
picture("steps", d.cat(walked, 1), { columns = #walked, scale = 8 })

stop "All steps at once"
local a, s = schedule:signal(500), schedule:noise(500)
say([[
Nobody needs to take these steps one by one. With alpha_t = 1 - beta_t, and with alpha_bar_t the
product of all alphas up to t:

    q(x_t | x_0) = N( sqrt(alpha_bar_t) x_0,  1 - alpha_bar_t )       (eq. 4)
    x_t = a x_0 + s eps, where a = sqrt(alpha_bar_t), s = sqrt(1 - alpha_bar_t), eps ~ N(0, 1)

At t = 500 a is %.4f and s is %.4f. The steps of the first stop, taken by 2,000 chains, say the same:
]], a, s)
local slope = (at_500:mean(1, true) * digit):sum():item() / digit:square():sum():item()
say("  factor of the picture: %.4f walked, %.4f by the formula", slope, a)
say("  variance of the noise: %.4f walked, %.4f by the formula", (at_500 - a * digit):var():item(), s * s)
local leaps = { 1, 50, 100, 200, 300, 450, 600, 800, 1000 }
say "\nThe digit at nine levels, each drawn in one leap."
picture("leaps", process:q_sample(digit:expand(#leaps, 8, 8, 1), leaps, { seed = 1 }), { columns = #leaps, scale = 8 })

stop "Why that is allowed: Gaussians merge"
local alpha, previous = schedule:alpha(500), schedule:alpha(499)
say([[
Put the step to t-1 into the step to t:

    x_t = sqrt(alpha_t) ( sqrt(alpha_t-1) x_t-2 + sqrt(1 - alpha_t-1) e' ) + sqrt(1 - alpha_t) e

The sum of two independent normal numbers is normal, and their variances add:

    alpha_t (1 - alpha_t-1) + (1 - alpha_t) = 1 - alpha_t alpha_t-1

So two steps are one step, with the product of their alphas. At t = 500 the left side is
%.6f + %.6f = %.6f, and the right side is %.6f.
]], alpha * (1 - previous), 1 - alpha, alpha * (1 - previous) + 1 - alpha, 1 - alpha * previous)
local draws, bins = 200000, 60
local first, second = d.randn({ draws }, { seed = 3 }), d.randn({ draws }, { seed = 4 })
local merged = 0.6 * first + 0.8 * second -- 0.36 + 0.64 = 1
local counts, centres = {}, {}
for i = 1, bins do
  local low, high = -3 + 6 * (i - 1) / bins, -3 + 6 * i / bins
  counts[i] = (merged:ge(low):to "f32" - merged:ge(high):to "f32"):sum():item() * bins / (6 * draws)
  centres[i] = (low + high) / 2
end
say("Draw 200,000 pairs and add 0.6 e' + 0.8 e, as 0.36 + 0.64 = 1. The variance of the sum is %.4f.",
  merged:var():item())
curves("merged", { { "0.6 e' + 0.8 e, counted", counts, centres },
                   series("N(0, 1)", function(x) return normal(x, 0, 1) end, -3, 3) },
       { title = "The sum of two normal numbers is normal" })

stop "The schedule decides how fast"
local cosine = d.schedule.cosine { T = 1000 }
say [[
The betas are a choice. The signal-to-noise ratio SNR_t = alpha_bar_t / (1 - alpha_bar_t) shows its
effect: above 1 the picture dominates, below 1 the noise does.
]]
say "     t   linear: alpha_bar   SNR             cosine: alpha_bar   SNR"
for _, t in ipairs { 1, 250, 500, 750, 1000 } do
  say("  %4d   %17.6f   %-13.4g   %17.6f   %.4g", t, schedule:alpha_bar(t), schedule:snr(t), cosine:alpha_bar(t),
    cosine:snr(t))
end
say "\nThe linear schedule has spent most of its signal by the middle. The cosine one keeps it longer."
curves("schedules", { series("linear", function(t) return schedule:alpha_bar(math.max(1, t)) end, 1, 1000),
                      series("cosine", function(t) return cosine:alpha_bar(math.max(1, t)) end, 1, 1000) },
       { title = "alpha_bar: how much of the picture is left", xlabel = "t" })

stop "Backwards: the reverse process"
-- Data that are -1 or 1 with equal probability. q(x_s | x_t) is q(x_t | x_s) q(x_s), normalised.
local function reverse(xt, t, from)
  local factor, variance = process:q_moments(1, t, from)
  local signal, spread = schedule:signal(from), schedule:noise(from) ^ 2
  local function density(x)
    return normal(xt, factor * x, variance) * (normal(x, signal, spread) + normal(x, -signal, spread))
  end
  local Z, M, V, h = 0, 0, 0, 1e-3
  for i = -4000, 4000 do
    local x = i * h
    local p = density(x)
    Z, M, V = Z + p * h, M + p * x * h, V + p * x * x * h
  end
  local mean = M / Z
  local var = V / Z - mean ^ 2
  local apart = 0 -- half of the area between the density and its normal
  for i = -4000, 4000 do apart = apart + math.abs(density(i * h) / Z - normal(i * h, mean, var)) * h / 2 end
  return function(x) return density(x) / Z end, function(x) return normal(x, mean, var) end, apart
end
say [[
To draw a picture, start at noise and go back. The step back, q(x_t-1 | x_t), depends on all the data.
No formula gives it. But if the step is small, it is nearly normal too (Feller 1949; Sohl-Dickstein
et al. 2015). So a network only has to give its mean, and perhaps its variance:

    p(x_t-1 | x_t) = N( mu(x_t, t),  sigma_t^2 )                      (eq. 1)

Let the data be the two numbers -1 and 1, so that the step back can be computed. Start at x_300 = 0.2:
]]
for _, from in ipairs { 299, 250, 150, 50 } do
  local _, _, apart = reverse(0.2, 300, from)
  say("  to s = %3d: %4.1f %% of the area lies elsewhere than under the best normal density", from, 100 * apart)
end
local far, fitted = reverse(0.2, 300, 50)
say "\nOne step is normal. A leap has two humps, one for each number. That is why there are many steps."
curves("leap_back", { series("q(x_50 | x_300 = 0.2)", far, -1.6, 1.6), series("its normal", fitted, -1.6, 1.6) },
       { title = "A leap back is not normal" })

stop "If the picture were known: the posterior, by Bayes"
local t, before = 300, 200
local alpha_bar, alpha_bar_s = schedule:alpha_bar(t), schedule:alpha_bar(before)
local ratio = alpha_bar / alpha_bar_s -- the product of the alphas between s and t
local precision = ratio / (1 - ratio) + 1 / (1 - alpha_bar_s)
local c0, ct, variance = process:posterior_coefficients(t, before)
say([[
Given x_0 as well, the step back has a formula. Bayes' rule multiplies two normal densities in x_s:

    q(x_s | x_t, x_0)  ~  q(x_t | x_s) q(x_s | x_0)                   (eq. 6 and 7, with s for t-1)

Precisions, one over variance, add. With r = alpha_bar_t / alpha_bar_s, from t = %d to s = %d:

    1/variance = r / (1 - r) + 1 / (1 - alpha_bar_s) = %.4f + %.4f,   so variance = %.8f
    weight of x_t = variance sqrt(r) / (1 - r)                      = %.8f
    weight of x_0 = variance sqrt(alpha_bar_s) / (1 - alpha_bar_s)  = %.8f

The library's process:posterior_coefficients(%d, %d) gives %.8f, %.8f and %.8f.
]], t, before, ratio / (1 - ratio), 1 / (1 - alpha_bar_s), 1 / precision,
  math.sqrt(ratio) / (1 - ratio) / precision, math.sqrt(alpha_bar_s) / (1 - alpha_bar_s) / precision,
  t, before, variance, ct, c0)
local x0, xt = 1, 0.2
local function likelihood(x) return normal(xt, math.sqrt(ratio) * x, 1 - ratio) end
local function prior(x) return normal(x, math.sqrt(alpha_bar_s) * x0, 1 - alpha_bar_s) end
curves("posterior", { series("q(x_200 | x_0 = 1)", prior, -1, 2.5),
                      series("q(x_300 = 0.2 | x_200), of x_200", likelihood, -1, 2.5),
                      series("the posterior", function(x) return normal(x, c0 * x0 + ct * xt, variance) end, -1, 2.5) },
       { title = "Bayes: the product of two normal densities is normal", xlabel = "x_200" })

stop "The network and its loss"
local step_c0, _, step_variance = process:posterior_coefficients(500)
local guess = 0.1 -- an error of eps
local gap = step_c0 * (schedule:noise(500) / schedule:signal(500)) * guess
say([[
The picture isn't known, so a network predicts it from x_t. As x_t = a x_0 + s eps, it may as well
predict eps. Both steps back are normal with one variance. Their KL divergence is the squared
difference of their means over twice the variance, and that is a weight times the error of eps:

    KL = beta_t^2 / (2 sigma_t^2 alpha_t (1 - alpha_bar_t)) |eps - eps'|^2    (eq. 12)

For t = 500 and an error of 0.1 the difference of means gives %.8f, and eq. 12 gives %.8f.
Ho et al. leave the weight out (eq. 14). A small network learns two moons that way, in some seconds:
]], gap ^ 2 / (2 * step_variance), schedule:beta(500) ^ 2 * guess ^ 2
  / (2 * step_variance * schedule:alpha(500) * (1 - schedule:alpha_bar(500))))
local moons = d.oracle.moons {}
local network = d.mlp { dim = 2, hidden = 128, depth = 4 }
local ema = d.ema(network, { decay = 0.995 })
local opt = d.adamw(network, { lr = 2e-3, clip = 1, ema = ema })
local objective = d.objective { process = process }
local points = d.data.set { x = moons:sample(10000, { seed = 6 }) }
for step, x in points:batches { size = 256, steps = 1500, seed = 7 } do
  local loss = d.record(objective, network, x)
  loss:backward()
  opt:step()
  if step % 500 == 0 then say("  step %4d: loss %.3f", step, loss:item()) end
end
local test, ts = moons:sample(20000, { seed = 8 }), d.randint(1, 1000, { 20000 }, { seed = 9 })
local noised, eps = process:q_sample(test, ts, { seed = 10 })
local function loss_of(model) return d.mse(d.no_grad(model, noised, ts), eps):item() end
say("\nOn fresh points its loss is %.4f. The best that any network could reach here is %.4f.",
  loss_of(ema), loss_of(moons:denoiser(process)))
local digits, digit_process = d.load_model "digits"
local ways = { 50, 150, 300, 450, 600, 750, 900, 1000 }
local shown = digit:expand(#ways, 8, 8, 1)
local hidden = digit_process:q_sample(shown, ways, { seed = 11 })
local told = digit_process:convert(digits(hidden, ways), { from = digit_process.predict, to = "x0", xt = hidden,
                                                           t = ways })
say [[
A digit under more and more noise, and what a network for digits makes of it: exact at first, then a
plausible digit, then the mean of all digits.]]
picture("predicted", d.cat({ hidden, told }, 1), { columns = #ways, scale = 8 })

stop "Sampling"
say [[
To sample, draw noise x_T. At each step predict x_0, put it into the posterior, and draw x_t-1. That
is ddpm (Ho et al. 2020, algorithm 2). Other samplers see the same network as a differential equation
and leap further, without noise in between (ddim, Song et al. 2021):
]]
local fresh = moons:sample(2000, { seed = 12 })
for _, way in ipairs { { "ddpm", 1000 }, { "ddpm", 50 }, { "ddim", 50 }, { "unipc", 12 } } do
  local x = d.sample { model = ema, process = process, shape = { 2000, 2 }, sampler = way[1], steps = way[2],
                       seed = 13 }
  say("  %-6s %4d steps: energy distance from real moons %7.4f", way[1], way[2], d.metric.energy(x, fresh))
end
say("  other real moons:  energy distance from real moons %7.4f",
  d.metric.energy(moons:sample(2000, { seed = 14 }), fresh))
say "The distance is an estimate without bias. It is about 0, and may be below, for equal distributions."
local rows = {}
for step in d.sampler.steps { model = digits, process = digit_process, shape = { 10, 8, 8, 1 }, class = d.arange(1, 10),
                              sampler = "ddpm", steps = 200, guidance = 2, seed = 15 } do
  if step.i % 25 == 0 then rows[#rows + 1] = step.x end
end
say "\nThe ten digits out of noise, every 25th of 200 steps a row."
picture("sampling", d.cat(rows, 1), { columns = 10, scale = 4 })

stop "Latents"
local pipe = assert(d.load_pipeline "emoji")
say [[
A picture of 64 x 64 x 3 is 12,288 numbers, and neighbours are nearly equal. Stable Diffusion (Rombach
et al. 2022) first trains an autoencoder. Its encoder makes a small picture of few
channels, the latents, and its decoder makes the picture again. Diffusion then draws latents:

    z_0 = encode(x),   z_t = sqrt(alpha_bar_t) z_0 + sqrt(1 - alpha_bar_t) eps,   x = decode(z_0)
]]
local drawn = pipe:text2image { prompt = { "red apple", "rocket", "fox", "sun with face" }, seed = 16 }
local z = pipe:encode(drawn)
local again = pipe:decode(z)
local latent = z:shape()
say("Here a picture has %d x %d x %d latents, which are %d numbers: a twelfth.", latent[2], latent[3], latent[4],
  z[1]:numel())
say("Decoded again, the pictures have %.1f dB of signal to noise.",
  -10 * math.log(d.mse(again, drawn):item() / 4, 10))
say("Scaled, the latents of these have mean %.2f and deviation %.2f. Noise has 0 and 1.", z:mean():item(),
  z:std():item())
local channels = (z:permute(1, 4, 2, 3) / 3):clamp(-1, 1)
local large = channels:reshape(4, 4, 16, 1, 16, 1):expand(4, 4, 16, 4, 16, 4):reshape(4, 4, 64, 64)
local shown_latents = {}
for k = 1, 4 do
  shown_latents[#shown_latents + 1] = drawn:narrow(1, k, 1)
  for c = 1, 4 do
    shown_latents[#shown_latents + 1] = large[{ k, c }]:reshape(1, 64, 64, 1):expand(1, 64, 64, 3)
  end
  shown_latents[#shown_latents + 1] = again:narrow(1, k, 1)
end
say "A row has a picture, its four channels of latents, and the picture that they decode to."
picture("latents", d.cat(shown_latents, 1), { columns = 6 })

stop "Text"
say [[
A text encoder turns words into vectors. The denoiser looks at them with attention, and so it predicts
v for this text. One network also learns the empty text. The difference of both predictions points to
the text, and guidance goes further along it (Ho and Salimans 2022):

    v = v(z_t, none) + w (v(z_t, text) - v(z_t, none))
]]
local apple, none = pipe:encode_prompt { prompt = "red apple" }
local net = pipe:denoiser()
for _, level in ipairs { 100, 500, 900 } do
  local zt, noise = pipe.process:q_sample(z:narrow(1, 1, 1), level, { seed = 17 })
  local v = pipe.process:convert(noise, { from = "eps", to = "v", xt = zt, t = level })
  local with, without = d.no_grad(net, zt, level, apple), d.no_grad(net, zt, level, none)
  say("t = %3d: the error of v is %.3f with the text, %.3f without.", level, d.mse(with, v):item(),
    d.mse(without, v):item())
end
say [[

Without the text the network must guess the picture from its noise. The more noise, the more the text
tells. Guidance of 1, 1.5 and 3, a row each:]]
local rows_of_guidance = {}
for _, guidance in ipairs { 1, 1.5, 3 } do
  rows_of_guidance[#rows_of_guidance + 1] = pipe:text2image { seed = 18, guidance = guidance,
    prompt = { "green apple", "robot", "tiger face", "rainbow", "penguin", "snowman" } }
end
picture("guidance", d.cat(rows_of_guidance, 1), { columns = 6 })

stop "All of it"
say [[
Words become vectors, noise becomes latents step by step, and the decoder makes the picture. That is
the whole of Stable Diffusion. This one has 3.4 million parameters, and examples/14_emoji.lua trains it
from nothing. One line draws with it:

    pipe:text2image{ prompt = "red apple", seed = 1 }
]]
local run, previews = pipe:steps { prompt = "red apple", seed = 1, steps = 30 }, {}
for step in run do
  if step.i % 5 == 0 then previews[#previews + 1] = pipe:decode(step.x0) end
end
previews[#previews + 1] = pipe:decode(run.x)
say "The picture that the network predicts after every fifth of 30 steps, and the one that it ends with:"
picture("apple", d.cat(previews, 1), { columns = #previews })
