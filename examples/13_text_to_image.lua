-- Lesson 13: pictures of texts. A folder of Stable Diffusion's shape draws, edits, and learns a style by
-- low-rank adapters.
-- Run: lua5.4 examples/13_text_to_image.lua [FOLDER [PICTURES]]     FOLDER is one of diffusers, or a name in
-- the cache of huggingface_hub. Without it, a small one is made first, which knows "the digit three" and the
-- like. One of full size takes hours. PICTURES is a folder with captions that shows a style;
-- without it, digits in orange are one.
-- Writes text_to_image.png and the folders lesson13/model, lesson13/style and lesson13/lora.
local d = require "diffusion"

d.manual_seed(1)
local folder, pictures = arg[1] or "lesson13/model", arg[2] or "lesson13/style"
os.execute "mkdir -p lesson13/model lesson13/style lesson13/lora"

local words = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine" }
local prompts = {}
for k, word in ipairs(words) do prompts[k] = "the digit " .. word end

-- The digits are white ink on black, 16 pixels a side. Each has a caption.
local digits = d.data.digits()
local white = d.image.to_float(digits.x):upsample(2):expand(digits.n, 16, 16, 3):contiguous()
local function inked(x, color) return (x + 1) * color - 1 end -- color: shares of red, green and blue
local captions = {}
for i, class in ipairs(digits.class:totable()) do captions[i] = prompts[class] end

-- Calls step(examples) with random ones, and moves the parameters of models.
local function train(models, steps, peak, step)
  local lr = d.lr.warmup_cosine { peak = peak, warmup = steps // 20, total = steps }
  local opt = d.adamw(models, { lr = lr, clip = 1 })
  local batches = digits:batches { size = 32, steps = steps, seed = 1 }
  for i in batches do
    local loss = d.record(step, batches.examples)
    loss:backward()
    opt:step()
    if i % 500 == 0 then print(("  step %4d of %d   loss %.4f"):format(i, steps, loss:item())) end
  end
end

local function rows(x, examples) return x:index(1, d.tensor(examples, { dtype = "i64" })) end

-- ==== a folder is made ===================================================================

local scheduler = { _class_name = "DPMSolverMultistepScheduler", beta_start = 0.00085, beta_end = 0.012,
                    beta_schedule = "scaled_linear", num_train_timesteps = 1000, steps_offset = 1 }

-- The alphabet of CLIP's tokenizer, and merges that make one token of each word.
local function make_tokenizer()
  local file <close> = assert(io.open("lesson13/merges.txt", "w"))
  file:write "#version: 0.2\n"
  local seen = {}
  for _, word in ipairs { "the", "digit", table.unpack(words) } do
    local left = word:sub(1, 1)
    for i = 2, #word do
      local right = word:sub(i, i) .. (i == #word and "</w>" or "")
      local merge = left .. " " .. right
      if not seen[merge] then file:write(merge, "\n") end
      seen[merge], left = true, left .. right
    end
  end
  file:close()
  return assert(d.tokenizer { path = "lesson13/merges.txt", length = 8 })
end

-- The autoencoder: four numbers for each square of four pixels.
local function make_autoencoder(scale)
  return d.autoencoderkl { block_out_channels = { 16, 32 }, norm_num_groups = 8, sample_size = 16,
    down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" }, mid_block_add_attention = false,
    up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" }, scaling_factor = scale }
end

-- It learns ink of all colors. Its latents are scaled to a deviation of 1.
local function trained_autoencoder()
  local first = make_autoencoder(1)
  print "the autoencoder:"
  train(first, 800, 3e-3, function(examples)
    local x = inked(rows(white, examples), d.rand(#examples, 1, 1, 3))
    local y, kl = first(x)
    return d.mse(y, x) + kl:mean() * 1e-6
  end)
  local vae = make_autoencoder(1 / first:encode(white:narrow(1, 1, 100)):std():item())
  vae:load_state(first:state())
  return vae
end

local function make_folder()
  local tokenizer, vae = make_tokenizer(), trained_autoencoder()
  local text = d.cliptext { vocab_size = tokenizer.size, hidden_size = 32, intermediate_size = 64,
    num_hidden_layers = 2, num_attention_heads = 2, max_position_embeddings = tokenizer.length,
    bos_token_id = tokenizer.bos, eos_token_id = tokenizer.eos, pad_token_id = tokenizer.pad }
  local unet = d.unet2dcondition { sample_size = 8, block_out_channels = { 32, 64 }, layers_per_block = 1,
    norm_num_groups = 8, cross_attention_dim = 32, attention_head_dim = 4,
    down_block_types = { "DownBlock2D", "CrossAttnDownBlock2D" },
    up_block_types = { "CrossAttnUpBlock2D", "UpBlock2D" } }
  local process = assert(d.hub.scheduler(scheduler))
  local latents = vae:encode(white) * vae:config().scaling_factor
  local objective = d.objective { process = process }
  print "the denoiser and the text encoder:"
  train({ unet, text }, 2000, 2e-3, function(examples)
    local list = {}
    for b, i in ipairs(examples) do list[b] = math.random() < 0.1 and "" or captions[i] end
    return (objective(unet, rows(latents, examples), { inputs = { context = (text((tokenizer(list)))) } }))
  end)
  assert(d.hub.save(folder, { unet = unet, vae = vae, text = text, tokenizer = tokenizer, scheduler = scheduler }))
end

if not arg[1] then make_folder() end

-- ==== texts ==============================================================================

local pipe = assert(d.hub.load(folder, { recompute = arg[1] ~= nil })) -- training takes less memory so
print(pipe)
local grid = {}

-- Adds a row of pictures, and gives them.
local function row(x)
  grid[#grid + 1] = x
  return x
end

local guidance = arg[1] and 7.5 or 2.5
local function call(o)
  o.steps, o.seed, o.guidance = 20, 1, o.guidance or guidance
  return o
end

local plain = row(pipe:text2image(call { prompt = prompts }))
row(pipe:text2image(call { prompt = prompts, guidance = 1 }))

-- Between two texts. Each picture starts from the same noise.
local from, none = pipe:encode_prompt { prompt = prompts[2] }
local to, between = pipe:encode_prompt { prompt = prompts[8] }, {}
for k = 1, 10 do
  local u = (k - 1) / 9
  local prompt = {}
  for name, x in pairs(from) do prompt[name] = x * (1 - u) + to[name] * u end
  between[k] = pipe:text2image(call { prompt = prompt, negative = none })
end
row(d.cat(between, 1))

-- ==== editing ============================================================================

-- Each picture becomes the next digit: from its own noised latents, and in its lower half only.
local following = { table.unpack(prompts, 2) }
following[10] = prompts[1]
row(pipe:image2image(call { prompt = following, x0 = plain, strength = 0.7 }))
local H, W = plain:size(2), plain:size(3)
local keep = d.cat({ d.ones(H // 2, W, 1), d.zeros(H - H // 2, W, 1) }, 1)
row(pipe:inpaint(call { prompt = following, x0 = plain, keep = keep }))

-- ==== a style ============================================================================

-- Writes pictures in the style with a table of captions.
local function make_style()
  local captions_file <close> = assert(io.open(pictures .. "/captions.tsv", "w"))
  captions_file:write "file_name\ttext\n"
  for i = 1, 200 do
    local name = ("%03d.png"):format(i)
    assert(d.image.save(pictures .. "/" .. name, inked(white[i], d.tensor { 1, 0.6, 0.1 })))
    captions_file:write(name, "\t", captions[i], "\n")
  end
end

if not arg[2] then make_style() end
local set = assert(d.data.folder(pictures, { size = H, captions = true }))
local shown = assert(pipe:encode_set(set)) -- latents and states, computed once
local style = pipe:add_lora { name = "style", rank = 4, on = { "conv", "to_" }, seed = 1 }
print(style)
local net, objective = pipe:denoiser(), d.objective { process = pipe.process }
local ema = d.ema(style.unet, { decay = 0.98 })
local opt = d.adamw(style.unet, { lr = 2e-3, clip = 1, ema = ema })
local batches = shown:batches { size = arg[1] and 1 or 16, steps = 300, seed = 1 }
for step, z in batches do
  local loss = d.record(objective, net, z, { inputs = pipe:inputs(batches, { drop = 0.1 }) })
  loss:backward()
  opt:step()
  if step % 100 == 0 then print(("  step %4d   loss %.4f"):format(step, loss:item())) end
end
assert(style:save("lesson13/lora", { weights = { unet = ema } }))

-- A pipe that never saw the training loads them.
local fresh = assert(d.hub.load(folder))
local loaded = assert(fresh:load_lora "lesson13/lora")
for _, weight in ipairs { 1, 0.5, 0 } do
  loaded.weight = weight
  grid[#grid + 1] = fresh:text2image(call { prompt = prompts })
end
print(("without the style the pictures are the same to the bit: %s"):format(grid[#grid]:equal(plain)))
grid[#grid] = nil
local picture = d.cat(grid, 1)
assert(d.image.save("text_to_image.png", d.image.grid(picture:upsample(math.max(1, 64 // H)), { columns = 10 })))
