-- Lesson 10: editing of real images: inpainting, img2img, inversion and interpolation.
-- Run: lua5.4 examples/10_editing.lua [model.safetensors]     Writes editing.png. The default model is
-- the one that `make demo` has trained, or that of the 8x8 digits.
local d = require "diffusion"

local model, process = d.load_model(arg[1] or "demo/model.safetensors")
if arg[1] then assert(model, process) end
local clothes = model and d.data.fashion_mnist { split = "test" }
if not clothes then model, process = d.load_model "digits" end
local set = clothes or d.data.digits()

-- One image of each class.
local places, following = {}, {}
for k = 1, 10 do places[k], following[k] = set.class:eq(k):to "i64":argmax():item(), k % 10 + 1 end
local x0 = d.image.to_float(set.x:index(1, d.tensor(places, { dtype = "i64" })))
local H, W = x0:size(2), x0:size(3)
local rows = { x0 }

-- 1. Inpainting of the right half. RePaint (Lugmayr et al. 2022) jumps back and repeats steps, so
-- that the halves match; with resample = 1 it does not. The model is not conditioned on the class.
local keep = d.cat({ d.ones(H, W // 2, 1), d.zeros(H, W - W // 2, 1) }, 2)
rows[2] = x0 * keep
for _, resample in ipairs { 1, 8 } do
  local x, walk = d.edit.repaint { model = model, process = process, x0 = x0, keep = keep, steps = 40,
                                   jump = 10, resample = resample, seed = 1 }
  print(tostring(walk):match "[^\n]+" .. ("; kept to the bit: %s"):format((x * keep):equal(x0 * keep)))
  rows[#rows + 1] = x
end

-- 2. img2img with the next class: with more noise, less of the original image remains.
for _, strength in ipairs { 0.3, 0.5, 0.7, 0.9 } do
  local x, plan = d.edit.img2img { model = model, process = process, x0 = x0, strength = strength, steps = 15,
                                   class = following, guidance = 2, seed = 1 }
  print(tostring(plan):match "[^\n]+\n[^\n]+")
  print(("  pixels changed by %.3f"):format((x - x0):square():mean():sqrt():item()))
  rows[#rows + 1] = x
end

-- 3. Inversion: the noise from which ddim draws each image. With exact = true each step is solved
-- by iteration.
for _, exact in ipairs { false, true } do
  print(select(2, d.edit.invert { model = model, process = process, x0 = x0, steps = 20, exact = exact, check = true }))
end

-- 4. Interpolation between two images: with noise that both share (Ho et al. 2020), and along the
-- great circle between their inverted noises.
local u = d.linspace(0, 1, 10):totable()
for _, by in ipairs { "noise", "inversion" } do
  rows[#rows + 1] = d.edit.interpolate { model = model, process = process, a = x0:narrow(1, 1, 2), u = u, by = by,
                                         b = x0:narrow(1, 9, 2), steps = 15, seed = 1 }
end
local picture = d.cat(rows, 1)
d.image.save("editing.png", d.image.grid(picture:upsample(math.max(1, 64 // H)), { columns = 10 }))
