-- Lesson 5: write your own layer, network and loss in Lua. They use the same C layers as the
-- stock networks.
-- Run: lua5.4 examples/05_own_layer_and_loss.lua     Writes own_network.png.
local d = require "diffusion"
local nn = d.nn

-- softsign is not in the library, so this defines it as a custom op with its derivative. Both
-- may use anything that Lua can compute from tensors. gradcheck compares the two.
local softsign = nn.guest(
  function(x) return x / (1 + x:abs()) end,
  function(dy, _, x) return dy / (1 + x:abs()):square() end)
local right, off = d.gradcheck(softsign, { d.randn(3, 4) })
print(("gradient of softsign by differences: %s, error %.0e"):format(right and "right" or "wrong", off))

local Block = nn.module("block", function(m, channels, width)
  m.one = nn.norm_conv(channels, channels, { kernel = 3 }) -- group norm, silu, convolution
  m.time = nn.linear(width, channels)
  m.two = nn.norm_conv(channels, channels, { kernel = 3, init = "zero" })
  function m:forward(x, e)
    local h = self.one(x) + softsign(self.time(e)):over(x) -- {B,C} over {B,H,W,C}
    return x + self.two(h)
  end
end)

local Net = nn.module("net", function(m, o)
  m.embed = nn.sequence(nn.sinusoid(o.width), nn.linear(o.width, o.width), nn.silu)
  m.inp = nn.conv(1, o.channels, { kernel = 3 })
  m.blocks = nn.list(o.depth, function() return Block(o.channels, o.width) end)
  m.out = nn.conv(o.channels, 1, { kernel = 3, init = "zero" })
  function m:forward(xt, t)
    local e, h = self.embed(t), self.inp(xt)
    for _, block in ipairs(self.blocks) do h = block(h, e) end
    return self.out(h)
  end
end)

d.manual_seed(0)
local model = nn.model(Net { channels = 32, width = 64, depth = 3 })
print(model)

-- Min-SNR (Hang et al. 2023): the error of v, weighted by min(SNR, 5) / (SNR + 1).
local process = d.process { schedule = d.schedule.cosine { T = 1000 }, predict = "v", clip = 1 }
local function min_snr(net, x0, gamma)
  local t = d.randint(1, process.T, { x0:size(1) })
  local xt, eps = process:q_sample(x0, t)
  local v = process:convert(eps, { from = "eps", to = "v", xt = xt, t = t })
  local snr = process.schedule:snr(t)
  local weight = snr:clamp(nil, gamma) / (snr + 1)
  return (weight * d.mse(net(xt, t), v, "sample")):mean()
end

local opt = d.adamw(model, { lr = d.lr.warmup_cosine { peak = 2e-3, warmup = 50, total = 1000 }, clip = 1 })
local sum = 0
for step, x0 in d.data.digits():batches { size = 128, steps = 1000 } do
  local loss = d.record(min_snr, model, x0, 5)
  loss:backward()
  opt:step()
  sum = sum + loss:item()
  if step % 200 == 0 then
    print(("step %4d   loss %.4f"):format(step, sum / 200))
    sum = 0
  end
end

local x = d.sample { model = model, process = process, shape = { 40, 8, 8, 1 },
                     sampler = "dpmpp_2m", steps = 20, seed = 3 }
d.image.save("own_network.png", d.image.grid(x, { columns = 10, scale = 6 }))
d.image.show(x, { columns = 10 })
