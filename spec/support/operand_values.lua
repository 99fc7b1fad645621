-- A convolution that is fed by a norm in two ways, with all gradients. The layer
-- norm_conv does it through its own memory layout, and op by op it goes through rows. Run
-- as a script, it writes the second result at the highest precision, in the build named
-- by DIFFUSION_PRECISION.
local d = require "diffusion"
local core = require "diffusion.core"

local M = {}

-- B, H, W, C, K, groups: odd sizes, one pixel, one line, one image, one channel per
-- group.
M.cases = {
  { 1, 7, 5, 8, 6, 4 }, { 3, 21, 17, 12, 5, 3 }, { 1, 1, 1, 12, 3, 1 }, { 2, 1, 19, 6, 6, 6 },
  { 1, 33, 1, 20, 16, 5 }, { 17, 3, 3, 16, 16, 2 }, { 2, 9, 7, 40, 33, 5 }, { 1, 4, 6, 96, 31, 12 },
  { 1, 8, 8, 72, 70, 12 }, -- short tiles of Winograd's at medium
}

local inputs = { "x", "norm.weight", "norm.bias", "conv.weight", "conv.bias" }

-- Standard normal numbers, the same in both builds.
local function normal(...)
  local list, n = {}, 1
  for _, size in ipairs { ... } do n = n * size end
  for i = 1, n do
    local v = math.sqrt(-2 * math.log(1 - math.random())) * math.cos(2 * math.pi * math.random())
    list[i] = string.unpack("f", string.pack("f", v))
  end
  return d.tensor(list, { dtype = core.real }):reshape(...)
end

local function draw(case)
  local B, H, W, C, K = table.unpack(case)
  math.randomseed(H * W + C)
  return {
    x = normal(B, H, W, C), ["norm.weight"] = normal(C), ["norm.bias"] = normal(C),
    ["conv.weight"] = normal(K, 3, 3, C), ["conv.bias"] = normal(K), target = normal(B, H, W, K),
  }
end

--- The value and the gradients for the inputs, op by op; lists of numbers by name.
function M.by_ops(case)
  local v, out = draw(case), {}
  local function run(x, norm_w, norm_b, w, b)
    local h = core.ops.group_norm(x, norm_w, norm_b, { groups = case[6], epsilon = 1e-5 }):silu()
    return core.ops.conv2d(h, w, b, { pad = 1 })
  end
  local given = {}
  for i, name in ipairs(inputs) do given[i] = v[name] end
  out.value = run(table.unpack(given)):flatten():totable()
  local gradients = { d.grad(function(...) return (run(...) * v.target):sum() end, table.unpack(given)) }
  for i, name in ipairs(inputs) do out[name] = gradients[i]:flatten():totable() end
  return out
end

--- The same by nn.norm_conv.
function M.by_layer(case)
  local v, out, state = draw(case), {}, {}
  local model = d.nn.model(d.nn.norm_conv(case[4], case[5], { kernel = 3, groups = case[6] }))
  for name in model:parameters() do state[name] = v[name] end
  model:load_state(state)
  local function loss(x) return (model(x) * v.target):sum() end
  out.value = model(v.x):flatten():totable()
  out.x = d.grad(loss, v.x):flatten():totable()
  d.record(loss, v.x):backward()
  for name, p in model:parameters() do out[name] = p.grad:flatten():totable() end
  return out
end

if arg and arg[0] and arg[0]:find "operand_values%.lua$" then
  d.precision "highest"
  for k, case in ipairs(M.cases) do
    for name, list in pairs(M.by_ops(case)) do
      for i, value in ipairs(list) do list[i] = ("%.17g"):format(value) end
      print(("%d.%s\t%s"):format(k, name, table.concat(list, " ")))
    end
  end
end

return M
