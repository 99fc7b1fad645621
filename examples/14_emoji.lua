-- Lesson 14: texts to emoji. This trains the whole of Stable Diffusion from nothing: an autoencoder, a text encoder,
-- and a denoiser of the autoencoder's latents. d.help "emoji" tells what each part is worth.
-- Run: lua5.4 examples/14_emoji.lua [quick] [PICTURES]   Writes lesson14/whole or lesson14/quick, with the pipeline in
-- its folder model. Ctrl-C saves a checkpoint, and the same command goes on from there. It takes about an hour on two
-- cores, with `quick` ten minutes. The whole run makes the pipeline that comes with the library. The pictures are those
-- of Debian's packages fonts-noto-color-emoji and unicode-data. PICTURES is a folder of pictures with captions in their
-- place.
local d = require "diffusion"

-- Steps of each stage.
local runs = {
  quick = { vae = 1500, text = 1000, unet = 1500 },
  whole = { vae = 4000, text = 6000, unet = 20000 },
}
local named = runs[arg[1]] ~= nil
local run, folder = named and arg[1] or "whole", arg[named and 2 or 1]
local steps = runs[run]

-- Another run, or other pictures, go to another folder, as their networks differ. Its name has the path of the
-- pictures, with %2F for a slash.
local function escaped(char) return ("%%%02X"):format(char:byte()) end
local pictures = folder and "-" .. folder:gsub("/+$", ""):gsub("[^%w._-]", escaped) or ""
local out = "lesson14/" .. run .. pictures
local function at(name) return out .. "/" .. name end

d.precision "medium" -- bf16 operands, which are faster where there are units for them

-- ==== colours ============================================================================

local HUES = { red = 0, orange = 28, yellow = 50, green = 120, blue = 215, purple = 275, pink = 330 }
local WINDOW = 28 -- degrees on both sides of a hue that count as that hue

-- Pictures of [0, 1] as hue in degrees, saturation, value and chroma, each {n, H, W, 1}.
local function hue_of(x)
  local v, low = x:max(4, true), x:min(4, true)
  local c = v - low
  local r, g, b = x:narrow(4, 1, 1), x:narrow(4, 2, 1), x:narrow(4, 3, 1)
  local safe = c:maximum(1e-6)
  local sector = d.where(v:eq(r), (g - b) / safe, d.where(v:eq(g), (b - r) / safe + 2, (r - g) / safe + 4))
  local h = sector * 60
  return d.where(h:lt(0), h + 360, h), c / v:maximum(1e-6), v, c
end

-- Angles of 0 to 180 degrees between hues.
local function apart(h, other)
  local gap = (h - other):abs()
  return gap:minimum(360 - gap)
end

-- The hue of each picture in degrees, and whether it has one. Then 60 % of its saturation lie within the window of that
-- hue, and a tenth of its pixels have a saturation above a quarter.
local function dominant(x)
  local h, s = hue_of(x:avg_pool(2))
  local n = x:size(1)
  h, s = h:reshape(n, -1), s:reshape(n, -1)
  local total, best, hue = s:sum(2):maximum(1e-6), d.zeros(n), d.zeros(n)
  for degrees = 0, 350, 10 do
    local share = (s * apart(h, degrees):le(WINDOW):to "f32"):sum(2) / total
    hue, best = d.where(share:gt(best), degrees, hue), best:maximum(share)
  end
  return hue, best:ge(0.6):minimum(s:gt(0.25):to "f32":mean(2):ge(0.1))
end

-- Pictures whose hues are turned by `turn` {n} degrees.
local function turned(x, turn)
  local h, _, v, c = hue_of(x)
  local k = (h + turn:reshape(-1, 1, 1, 1)) / 60 + d.tensor { 5, 3, 1 }
  k = k - (k / 6):floor() * 6
  return v - c * k:minimum(4 - k):clamp(0, 1)
end

-- ==== pictures ===========================================================================

-- Pairs that only the autoencoder sees. They are named before training, and drawn after it.
local HELD_OUT, is_held_out = {}, {}
for pair in ([[blue apple, green fox, purple banana, pink frog, blue rose, red whale, blue strawberry, green tomato,
  purple crab, blue lobster, green pig face, blue chicken, purple carrot, pink broccoli, blue pear, green peach,
  red dolphin, blue tiger face, green lion, purple bear, pink bus, green automobile, red gem stone, pink umbrella,
  yellow balloon, blue guitar, pink crown, green key, purple bell, red cactus]]):gmatch "%s*([^,]+)" do
  HELD_OUT[#HELD_OUT + 1], is_held_out[pair] = pair, true
end

local COLOURS = { "red", "orange", "yellow", "green", "blue", "purple", "pink" }

-- A name without words of colours.
local function colourless(name)
  local words = {}
  for word in name:gmatch "%S+" do
    if not HUES[word] then words[#words + 1] = word end
  end
  return table.concat(words, " ")
end

-- The colours that a picture of a hue can have, as a list of {colour, turn}.
local function colours_for(hue)
  local list = {}
  for _, colour in ipairs(COLOURS) do
    local turn = (HUES[colour] - hue) % 360
    if math.min(turn, 360 - turn) > WINDOW / 2 then list[#list + 1] = { colour, turn } end
  end
  return list
end

-- Some pictures in other colours, as bytes. Their captions are added to a list.
local function part_recoloured(set, first, last, captions)
  local x = set.x:narrow(1, first, last - first + 1):to "f32" / 255
  local hue, has = dominant(x)
  local rows, turns = {}, {}
  for i, one in ipairs(has:to("i64"):totable()) do
    local k = first + i - 1
    local sign = set.names[set.class[k]] == "Flags" or set.subgroups[k] == "keycap"
    for _, pair in ipairs(one == 1 and not sign and colours_for(hue[i]) or {}) do
      rows[#rows + 1], turns[#turns + 1] = i, pair[2]
      captions[#captions + 1] = pair[1] .. " " .. colourless(set.captions[k])
    end
  end
  if #rows == 0 then return d.zeros({ 0, 64, 64, 3 }, { dtype = "u8" }) end
  return d.image.to_bytes(turned(x:index(1, d.tensor(rows, { dtype = "i64" })), d.tensor(turns)) * 2 - 1)
end

-- The emoji of one hue in the other colours, as a set.
local function recoloured(set)
  local list, captions = {}, {}
  for first = 1, set.n, 128 do
    list[#list + 1] = d.scope(part_recoloured, set, first, math.min(first + 127, set.n), captions)
  end
  return d.data.set { x = d.cat(list, 1), captions = captions, name = "emoji in other colours" }
end

local set = folder and assert(d.data.folder(folder, { size = 64, captions = true })) or assert(d.data.emoji())
os.execute("mkdir -p " .. out)
print(set)
local others = not folder and recoloured(set) or nil
if others then print(others) end

-- ==== training ===========================================================================

local function joined(a, b) return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {})) end

-- Batches of two sets side by side. They are at one step, so a checkpoint has both.
local function side_by_side(a, b)
  local both = {}
  function both:state() return a:state() end -- luacheck: ignore 212
  function both:load_state(state) return a:load_state(state) end -- luacheck: ignore 212
  local function call()
    local step, x = a()
    if not step then return nil end
    b.step = step - 1
    local _, y = b()
    both.captions, both.parts = joined(a.captions, b.captions), { a.examples, b.examples }
    return step, d.cat({ x, y }, 1)
  end
  return setmetatable(both, { __call = call, __index = function(_, key) return a[key] end,
    __tostring = function() return tostring(a) end })
end

-- Batches of emoji, of which a part are in other colours.
local function batches(o)
  local plain = o.others and o.size - o.coloured or o.size
  local a = o.set:batches { size = plain, steps = o.steps, seed = 1, flip = o.flip }
  if not o.others then return a end
  return side_by_side(a, o.others:batches { size = o.coloured, steps = o.steps, seed = 2, flip = o.flip })
end

-- Trains a network, or goes on with its training.
local function train(name, o)
  local total = steps[name]
  local opt = d.adamw(o.model, { betas = o.betas, weight_decay = o.decay, clip = 1, ema = o.ema,
    lr = d.lr.warmup_cosine { peak = o.lr, warmup = math.min(100, total // 10), total = total } })
  local trainer = d.trainer { model = o.model, opt = opt, ema = o.ema, objective = o.objective, inputs = o.inputs,
    batches = o.batches, checkpoint = at(name .. ".safetensors"), log = at(name .. ".csv"), save_every = 250 }
  print(("%s: %d parameters, %d steps"):format(name, o.model:count(), total))
  local report, stopped = trainer:run()
  if report then return end
  print(stopped)
  os.exit(130, true)
end

-- ==== 1: the autoencoder =================================================================

-- Each picture becomes 16 x 16 x 4 numbers. Most channels are at 16 x 16, so that it is quick.
local function new_vae(more)
  local o = { block_out_channels = { 16, 32, 64 }, norm_num_groups = 8, sample_size = 64, scaling_factor = 1,
    down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D" },
    up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D" },
    mid_block_add_attention = false, use_quant_conv = false, use_post_quant_conv = false }
  for key, value in pairs(more or {}) do o[key] = value end
  return d.autoencoderkl(o)
end

-- Differences of neighbours. Their error counts too, so that edges are sharp.
local function edges(x)
  local H, W = x:size(2), x:size(3)
  return x:narrow(2, 2, H - 1) - x:narrow(2, 1, H - 1), x:narrow(3, 2, W - 1) - x:narrow(3, 1, W - 1)
end

local KL = 5e-4 -- weight of the divergence of a latent's number from a standard normal one

local function rebuilding(vae, x)
  x = x:roll(d.randint(-3, 3, { 1 }):item(), 2):roll(d.randint(-3, 3, { 1 }):item(), 3)
  local y, kl = vae(x)
  local down, across = edges(x - y)
  return d.l1(y, x) + 0.5 * (down:abs():mean() + across:abs():mean()) + KL / 1024 * kl:mean()
end

d.manual_seed(1)
local first = new_vae()
train("vae", { model = first, objective = rebuilding, lr = 2e-3, decay = 1e-4, betas = { 0.9, 0.99 },
  batches = batches { set = set, others = others, size = 8, coloured = 2, steps = steps.vae, flip = true } })

-- The denoiser's latents have mean 0 and deviation 1 in each channel.
local function standard(vae)
  local some = d.image.to_float(set.x:narrow(1, 1, math.min(set.n, 512)))
  local z = d.no_grad(function() return (vae:encode(some)) end):reshape(-1, 4)
  local made = new_vae { latents_mean = z:mean(1):totable(), latents_std = z:std(1):totable() }
  made:load_state(vae:state())
  return made
end

local vae = standard(first)
assert(d.hub.save(at "vae", vae))
local coder = assert(d.hub.load(at "vae"))

-- A set without the pairs that are held out.
local function without_held_out(from)
  local rows, captions = {}, {}
  for i, caption in ipairs(from.captions) do
    if not is_held_out[caption] then rows[#rows + 1], captions[#captions + 1] = i, caption end
  end
  return d.data.set { x = from.x:index(1, d.tensor(rows, { dtype = "i64" })), captions = captions, name = from.name }
end

-- Latents of pictures, computed once and kept in a file.
local function encoded_set(name, from)
  return assert(coder:encode_set(from, { path = at(name .. ".safetensors"), texts = false, size = 64, dtype = "f16" }))
end

local emoji = encoded_set("latents", set)
local coloured = others and encoded_set("latents_of_others", without_held_out(others))

-- ==== 2: the text encoder ================================================================

-- Each word is a token. Its projection of a text is to be the latent of the picture.
local texts = joined(set.captions, set.subgroups or {})
local tokens = d.tokenizer { words = joined(texts, COLOURS), length = 12 }
local function new_text()
  return d.cliptext { vocab_size = tokens.size, hidden_size = 160, intermediate_size = 288, num_hidden_layers = 2,
    num_attention_heads = 5, max_position_embeddings = tokens.length, hidden_act = "silu", initializer_factor = 25,
    bos_token_id = tokens.bos, eos_token_id = tokens.eos, pad_token_id = tokens.pad, projection = true,
    projection_dim = 16 * 16 * 4 }
end

-- The words of the subgroup of each name: "food fruit" of "red apple".
local kinds = {}
for i, kind in ipairs(set.subgroups or {}) do kinds[set.captions[i]] = kind:gsub("-", " ") end

-- A caption as users may write it: without one of its words, or with its kind. A tenth are empty. The encoder learns
-- the mean picture for them, which guidance takes off.
local function varied(caption, chance, place)
  if chance < 0.1 then return "" end
  if chance < 0.2 and kinds[caption] then return caption .. " " .. kinds[caption] end
  local words = {}
  for word in caption:gmatch "%S+" do words[#words + 1] = word end
  if chance < 0.32 and #words > 2 then table.remove(words, 1 + math.floor(place * #words)) end
  return table.concat(words, " ")
end

local function varied_tokens(walk)
  local list = {}
  for i, two in ipairs(d.rand(#walk.captions, 2):totable()) do list[i] = varied(walk.captions[i], two[1], two[2]) end
  return { ids = tokens(list) }
end

local function regressing(text, x0, given)
  local _, layout = text(given.inputs.ids)
  return d.mse(layout, x0:reshape(x0:size(1), -1))
end

d.manual_seed(2)
local text = new_text()
train("text", { model = text, objective = regressing, inputs = varied_tokens, lr = 2e-3, decay = 0.01,
  betas = { 0.9, 0.98 },
  batches = batches { set = emoji, others = coloured, size = 128, coloured = 32, steps = steps.text } })

-- ==== 3: the denoiser ====================================================================

-- The states of captions, and their layouts: {context {n, 12, 160}, layout {n, 16, 16, 4}}.
local function encoded(captions)
  local context, layout = {}, {}
  for i = 1, #captions, 128 do
    local part = table.move(captions, i, math.min(i + 127, #captions), 1, {})
    local k = #context + 1
    context[k], layout[k] = d.scope(d.no_grad, text, (tokens(part)))
  end
  return { context = d.cat(context, 1), layout = d.cat(layout, 1):reshape(-1, 16, 16, 4) }
end

local states = { encoded(emoji.captions), coloured and encoded(coloured.captions) }
local none = encoded { "" }

local function rows(x, examples) return x:index(1, d.tensor(examples, { dtype = "i64" })) end

-- The states of a batch. A tenth are those of no text, for guidance.
local function conditions(walk)
  local given, parts = {}, others and walk.parts or { walk.examples }
  local n = #walk.captions
  local drop = d.rand(n):lt(0.1)
  for name, without in pairs(none) do
    local list = {}
    for k, examples in ipairs(parts) do list[k] = rows(states[k][name], examples) end
    local shape = { n, 1, 1, name == "layout" and 1 or nil }
    given[name] = d.where(drop:reshape(shape), without, d.cat(list, 1))
  end
  return given
end

local function new_unet()
  return d.unet2dcondition { sample_size = 16, in_channels = 8, block_out_channels = { 32, 64, 64 },
    layers_per_block = 1, norm_num_groups = 8, cross_attention_dim = 160, attention_head_dim = 4,
    resnet_time_scale_shift = "scale_shift", addition_embed_type = "text", addition_embed_type_num_heads = 5,
    down_block_types = { "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D" },
    up_block_types = { "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D" } }
end

-- All signal is gone at the last step, and the network predicts v.
local scheduler = { _class_name = "DDIMScheduler", beta_schedule = "squaredcos_cap_v2", num_train_timesteps = 1000,
  prediction_type = "v_prediction", rescale_betas_zero_snr = true, timestep_spacing = "trailing", clip_sample = false }
local process = assert(d.hub.scheduler(scheduler))

local objective = d.objective { process = process, weighting = { "uniform", of = "v" }, times = "stratified" }

-- The denoiser gets the layout next to x.
local function denoising(unet, x0, given)
  local inputs = given.inputs
  local function net(x, t) return unet(d.cat({ x, inputs.layout }, -1), t, { context = inputs.context }) end
  return objective(net, x0)
end

d.manual_seed(3)
local unet = new_unet()
local ema = d.ema(unet, { decay = 0.999 })
train("unet", { model = unet, objective = denoising, inputs = conditions, ema = ema, lr = 2e-3, decay = 0.01,
  betas = { 0.9, 0.99 },
  batches = batches { set = emoji, others = coloured, size = 32, coloured = 6, steps = steps.unet } })

assert(d.hub.save(at "model", { unet = ema, vae = vae, text = text, tokenizer = tokens, scheduler = scheduler },
  { dtype = "f16" }))

-- ==== pictures of texts ======================================================================

local pipe = assert(d.hub.load(at "model"))
print(pipe)

-- Draws each prompt, and writes the pictures enlarged.
local function draw(name, prompts, columns)
  local x = pipe:text2image { prompt = prompts, seed = 1 }
  assert(d.image.save(at(name .. ".png"), d.image.grid(x, { columns = columns })))
  return x
end

local seen = {}
for k = 1, math.min(40, set.n) do seen[k] = set.captions[1 + (k - 1) * (set.n // math.min(40, set.n))] end
draw("seen", seen, 8)
if folder then return end

-- Its hue is that of the most saturated tenth of its pixels.
local function hue_drawn(x)
  local h, s = hue_of((x:unsqueeze(1) + 1) / 2)
  local _, most = s:flatten():topk(410)
  local angle = rows(h:flatten(), most:totable()) * (math.pi / 180)
  return math.deg(math.atan(angle:sin():mean():item(), angle:cos():mean():item())) % 360
end

local right, x = 0, draw("held_out", HELD_OUT, 6)
for i, pair in ipairs(HELD_OUT) do
  local wanted, hue, nearest, least = pair:match "%a+", hue_drawn(x[i]), nil, 360
  for _, colour in ipairs(COLOURS) do
    local gap = math.abs(hue - HUES[colour])
    gap = math.min(gap, 360 - gap)
    if gap < least then nearest, least = colour, gap end
  end
  if nearest == wanted then right = right + 1 end
end
print(("%d of %d pairs that it never saw have the colour asked for"):format(right, #HELD_OUT))

draw("novel", { "cat with sunglasses", "dog with sunglasses", "ghost with hat", "green heart with arrow",
  "robot with party hat", "monkey with heart eyes", "clown cat", "pink elephant", "crying dog face", "blue pizza",
  "smiling apple", "angry banana", "red moon", "snow house", "flower car", "fire rocket", "crown on a frog",
  "two red apples", "sleeping fox", "a bear in the rain" }, 5)
