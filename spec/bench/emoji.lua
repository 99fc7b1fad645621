-- Figures of a pipeline of emoji stand next to those of its control without diffusion. This draws the emoji of N
-- captions, 1870 if not given, with guidance 1, 1.5 and 3:
--   lua5.4 spec/bench/emoji.lua [FOLDER or NAME] [N]
-- The control decodes the layouts that the text encoder draws, if it does. The pictures themselves, decoded from their
-- latents, are what the autoencoder allows.
--   top-1, top-5   share of pictures whose nearest of all emoji, or five nearest, have their caption's (32 x 32 pixels)
--   frechet        distance of 4 x 4 patches of latents, 64 numbers each, from those of all emoji
--   sharpness      mean step between neighbouring pixels, divided by that of the emoji
--   dB             peak signal to noise ratio to the caption's emoji
local d = require "diffusion"

local pipe = assert(d.load_pipeline(arg[1] or "emoji"))
local set = assert(d.data.emoji())
local N = math.tointeger(tonumber(arg[2] or set.n))
local vae = pipe.vae

local function rows(x, list) return x:index(1, d.tensor(list, { dtype = "i64" })) end

-- fn of parts of a tensor, joined.
local function in_parts(x, fn, size)
  local out = {}
  for first = 1, x:size(1), size or 64 do
    out[#out + 1] = d.scope(d.no_grad, fn, x:narrow(1, first, math.min(size or 64, x:size(1) - first + 1)))
  end
  return d.cat(out, 1)
end

local function patches(x)
  local z = in_parts(x, function(part) return (vae:encode(part)) end)
  return z:reshape(-1, 4, 4, 4, 4, 4):permute(1, 2, 4, 3, 5, 6):reshape(-1, 64)
end

local function small(x) return in_parts(x, function(part) return part:avg_pool(2):reshape(part:size(1), -1) end) end

local function steps_of(x)
  local H = x:size(2)
  local down = (x:narrow(2, 2, H - 1) - x:narrow(2, 1, H - 1)):abs():mean():item()
  return down + (x:narrow(3, 2, H - 1) - x:narrow(3, 1, H - 1)):abs():mean():item()
end

local all = d.image.to_float(set.x)
local known, known_patches, known_steps = small(all), patches(all), steps_of(all)

local picked, prompts = {}, {}
for i = 1, N do
  picked[i] = 1 + (i - 1) * set.n // N
  prompts[i] = set.captions[picked[i]]
end
local wanted = rows(all, picked)

-- The number of emoji that are nearer to each picture than its own.
local function ranks(x)
  local list = {}
  for i, one in ipairs(picked) do
    list[i] = d.scope(function()
      local distance = (known - x:narrow(1, i, 1)):square():sum(2)
      return distance:lt(distance[one] * 0.9999):to("f32"):sum():item()
    end)
  end
  return list
end

local function share_below(list, n)
  local count = 0
  for _, rank in ipairs(list) do if rank < n then count = count + 1 end end
  return 100 * count / #list
end

local function decibels(x)
  local mse = (x - wanted):square():reshape(#picked, -1):mean(2) / 4
  return -10 * (mse:log():mean():item()) / math.log(10)
end

print(("%-22s %6s %6s %8s %9s %6s"):format(("%d captions"):format(N), "top-1", "top-5", "frechet", "sharpness", "dB"))
local function report(name, x)
  local rank = ranks(small(x))
  print(("%-22s %6.1f %6.1f %8.2f %9.3f %6.2f"):format(name, share_below(rank, 1), share_below(rank, 5),
    d.metric.frechet(patches(x), known_patches), steps_of(x) / known_steps, decibels(x)))
end

report("the emoji, decoded", in_parts(wanted, function(x) return vae:decode((vae:encode(x))):clamp(-1, 1) end))

local layouts = {}
for i = 1, N, 64 do
  local part = table.move(prompts, i, math.min(i + 63, N), 1, {})
  layouts[#layouts + 1] = pipe:encode_prompt({ prompt = part }).layout
end
if #layouts > 0 then report("control", pipe:decode(d.cat(layouts, 1))) end

for _, guidance in ipairs { 1, 1.5, 3 } do
  local parts = {}
  for i = 1, N, 64 do
    local part = table.move(prompts, i, math.min(i + 63, N), 1, {})
    parts[#parts + 1] = d.scope(pipe.text2image, pipe, { prompt = part, seed = 1, guidance = guidance })
  end
  report(("guidance %g"):format(guidance), d.cat(parts, 1))
end
