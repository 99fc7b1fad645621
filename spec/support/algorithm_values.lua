-- Convolutions of odd shapes, with both gradients, by each algorithm. Run as a script, it
-- writes the values of taps as doubles. With DIFFUSION_PRECISION=double these are the
-- reference.
local d = require "diffusion"
local core = require "diffusion.core"

local M = {}

-- B, H, W, C, K, R, options
M.cases = {
  { 1, 1, 1, 1, 1, 3, { pad = 1 } }, { 2, 5, 7, 3, 4, 3, { pad = 1 } }, { 1, 4, 4, 1, 33, 3, { pad = 1 } },
  { 3, 9, 6, 31, 33, 3, { pad = 1 } }, { 2, 13, 11, 40, 65, 3, {} }, { 2, 8, 8, 320, 32, 3, { pad = 1 } },
  { 1, 3, 10, 64, 1, 3, { pad = 0 } }, { 5, 7, 7, 32, 40, 3, { pad = 1 } }, { 1, 6, 5, 40, 3, 3, { pad = 2 } },
  { 2, 9, 7, 20, 12, 3, { stride = 2, pad = 1 } }, { 2, 5, 6, 33, 31, 1, {} }, { 2, 8, 5, 3, 40, 5, { pad = 2 } },
  { 9, 21, 21, 17, 19, 3, { pad = 1 } }, { 2, 6, 9, 12, 1, 5, { pad = 1 } }, { 1, 40, 3, 1, 20, 5, { pad = 2 } },
  -- more zeros around the image than the kernel reaches
  { 2, 5, 6, 33, 31, 1, { pad = 1 } }, { 2, 4, 5, 12, 33, 1, { pad = { 0, 2, 1, 3 } } },
  { 3, 5, 4, 33, 12, 2, { pad = 2 } },
  { 2, 7, 5, 31, 33, 3, { pad = 3 } }, { 1, 6, 7, 40, 33, 3, { pad = { 4, 3, 1, 5 } } },
}

-- Fractions that both builds can hold; a seed determines them.
local function draw(...)
  return d.randint(-99, 99, { ... }):to(core.real) / 64
end

--- y = conv(x) + b + add, and the gradients of its product with g for x and w.
function M.of(k)
  local B, H, W, C, K, R, options = table.unpack(M.cases[k])
  d.manual_seed(k)
  local x, w, b = draw(B, H, W, C), draw(K, R, R, C), draw(K)
  local y = core.ops.conv2d(x, w, b, options)
  local add, g = draw(table.unpack(y:shape())), draw(table.unpack(y:shape()))
  options = { stride = options.stride, pad = options.pad, add = add }
  local stale = add * 1000 -- shows up in outputs that were not written
  stale:free()
  y = core.ops.conv2d(x, w, b, options)
  local dx, dw = d.grad(function(u, v) return (core.ops.conv2d(u, v, b, options) * g):sum() end, x, w)
  -- adds to an existing gradient
  local twice = d.grad(function(u)
    return ((core.ops.conv2d(u, w, b, options) + core.ops.conv2d(u, w, b, options)) * g):sum()
  end, x)
  return { y = y, dx = dx, dw = dw, twice = twice }
end

if arg and arg[0] and arg[0]:find "algorithm_values%.lua$" then
  core.algorithm "taps"
  for k = 1, #M.cases do
    for name, value in pairs(M.of(k)) do
      io.write(string.pack("<s4s4", k .. " " .. name, value:flatten():to "f64":bytes()))
    end
  end
end

return M
