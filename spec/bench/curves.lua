-- Does the precision of products change the result of training? Trains the demo's network
-- for 600 steps at each precision, with the same weights, images and noise. One more run
-- with other noise shows how far apart two runs are by chance.
-- lua5.4 spec/bench/curves.lua [picture] [steps]; fails if a precision differs by
-- more.
local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local d = require "diffusion"
local settings = require "settings"

os.execute("mkdir -p '" .. settings.folder .. "'")
local picture, steps = arg[1] or settings.folder .. "/curves.png", math.tointeger(tonumber(arg[2] or 600))
local train = assert(d.data.fashion_mnist())
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }
local objective = d.objective { process = process, weighting = "min_snr", drop_class = 0.1 }

local function losses_of(precision, seed)
  d.precision(precision)
  d.manual_seed(0)
  local model = d.unet { image = { 28, 28, 1 }, channels = 16, mult = { 1, 2, 2 }, blocks = 1,
                         attention = { 4 }, classes = train.classes }
  local opt = d.adamw(model, { clip = 1, lr = d.lr.warmup_cosine { peak = 3e-3, warmup = 100, total = steps } })
  d.manual_seed(seed)
  local losses = {}
  for step, x0, class in train:batches { size = 32, steps = steps, flip = true, seed = 3 } do
    d.scope(function()
      local loss = d.record(objective, model, x0, { class = class })
      loss:backward()
      opt:step()
      losses[step] = loss:item()
    end)
  end
  return losses
end

-- Means of 50 steps.
local function smooth(losses)
  local y, x = {}, {}
  for i = 50, #losses, 10 do
    local sum = 0
    for j = i - 49, i do sum = sum + losses[j] end
    y[#y + 1], x[#x + 1] = sum / 50, i
  end
  return y, x
end

-- Mean of a - b over the last third, and its standard error: the steps see the same images
-- and, where seeds agree, the same noise.
local function difference(a, b)
  local n, sum, squares = 0, 0, 0
  for i = #a - #a // 3 + 1, #a do
    local gap = a[i] - b[i]
    n, sum, squares = n + 1, sum + gap, squares + gap * gap
  end
  return sum / n, math.sqrt((squares / n - (sum / n) ^ 2) / n)
end

local runs = { { "highest", 1 }, { "high", 1 }, { "medium", 1 }, { "highest", 2 } }
local names = { "highest", "high", "medium", "highest, other noise" }
local all, series = {}, {}
for i, run in ipairs(runs) do
  all[i] = losses_of(table.unpack(run))
  local y, x = smooth(all[i])
  series[i] = { names[i], y, x }
end

local chance, spread = difference(all[4], all[1])
local allowed, apart = math.abs(chance) + 3 * spread, false
for i = 2, #runs do
  local gap, error = difference(all[i], all[1])
  print(("%-20s ends at %.4f, %+.1e +- %.0e from highest"):format(names[i], series[i][2][#series[i][2]], gap, error))
  apart = apart or math.abs(gap) > allowed
end
assert(d.plot.lines(series, { file = picture, xlabel = "step", ylabel = "loss, mean of 50", logy = true,
                              title = "training at each precision" }))
print(("drawn in %s; by chance runs are %.5f apart"):format(picture, allowed))
os.exit(not apart, true)
