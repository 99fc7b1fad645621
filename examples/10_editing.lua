-- Lesson 10: editing. Pictures that no model drew are painted anew in part, drawn again from some
-- noise, and turned into one another.
-- Run: lua5.4 examples/10_editing.lua [model.safetensors]     Writes editing.png, with the model that
-- `make demo` has trained; where there is none, with that of the 8x8 digits.
local d = require "diffusion"

local model, process = d.load_model(arg[1] or "demo/model.safetensors")
if arg[1] then assert(model, process) end
local clothes = model and d.data.fashion_mnist { split = "test" }
if not clothes then model, process = d.load_model "digits" end
local set = clothes or d.data.digits()

-- One picture of each class.
local places, following = {}, {}
for k = 1, 10 do places[k], following[k] = set.class:eq(k):to "i64":argmax():item(), k % 10 + 1 end
local x0 = d.image.to_float(set.x:index(1, d.tensor(places, { dtype = "i64" })))
local H, W = x0:size(2), x0:size(3)
local rows = { x0 }

-- 1. The right half is painted anew. RePaint (Lugmayr et al. 2022) goes back and forth, so that the
-- halves come to agree; with resample = 1 it doesn't. The model isn't told the class: it has to see it.
local keep = d.cat({ d.ones(H, W // 2, 1), d.zeros(H, W - W // 2, 1) }, 2)
rows[2] = x0 * keep
for _, resample in ipairs { 1, 8 } do
  local x, walk = d.edit.repaint { model = model, process = process, x0 = x0, keep = keep, steps = 40,
                                   jump = 10, resample = resample, seed = 1 }
  print(tostring(walk):match "[^\n]+" .. ("; kept to the bit: %s"):format((x * keep):equal(x0 * keep)))
  rows[#rows + 1] = x
end

-- 2. Noise and back, as the next class: the more noise, the less is left of the old picture.
for _, strength in ipairs { 0.3, 0.5, 0.7, 0.9 } do
  local x, plan = d.edit.img2img { model = model, process = process, x0 = x0, strength = strength, steps = 15,
                                   class = following, guidance = 2, seed = 1 }
  print(tostring(plan):match "[^\n]+\n[^\n]+")
  print(("  pixels moved by %.3f"):format((x - x0):square():mean():sqrt():item()))
  rows[#rows + 1] = x
end

-- 3. The noise from which ddim draws each picture: solved for, not only stepped to.
for _, exact in ipairs { false, true } do
  print(select(2, d.edit.invert { model = model, process = process, x0 = x0, steps = 20, exact = exact, check = true }))
end

-- 4. From one picture to another, two roads: through noise that both share (Ho et al. 2020), and along
-- the great circle between the noises of both.
local u = d.linspace(0, 1, 10):totable()
for _, by in ipairs { "noise", "inversion" } do
  rows[#rows + 1] = d.edit.interpolate { model = model, process = process, a = x0:narrow(1, 1, 2), u = u, by = by,
                                         b = x0:narrow(1, 9, 2), steps = 15, seed = 1 }
end
local picture = d.cat(rows, 1)
d.image.save("editing.png", d.image.grid(picture:upsample(math.max(1, 64 // H)), { columns = 10 }))
