-- `diffusion sample`: draws pictures with a model, and writes them with the settings that draw them again.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local images = require "diffusion.image"
local latents = require "diffusion.hub.latents"
local legible = require "diffusion.legible"
local load_pipeline = require("diffusion.pipeline").load_pipeline
local pictures = require "diffusion.picture"
local pipe = require "diffusion.hub.pipe"
local progress = require "diffusion.progress"
local settings = require "diffusion.command.settings"
local words = require "diffusion.command.words"

local sample = { name = "sample", places = 1, usage = "sample MODEL [flags] [-o out.png]",
  text = "draws pictures; MODEL is a folder or a file, a name in the cache of huggingface_hub, or digits" }

local function flag(key, kind, value, text, short)
  return { key = key, kind = kind, value = value, text = text, short = short, name = "--" .. key:gsub("_", "-") }
end

sample.flags = {
  flag("prompt", "text", "TEXT", "the text to draw", "-p"),
  flag("negative", "text", "TEXT", "text of the unconditional call"),
  flag("class", "class", "CLASS", "number from 1, or name, for networks with classes"),
  flag("steps", "integer", "N", "steps of the sampler; the model's own if not given"),
  flag("guidance", "number", "SCALE", "scale of guidance, none up to 1; the model's own if not given"),
  flag("rescale", "number", "SHARE", "share of the deviation that guidance restores"),
  flag("seed", "integer", "N", "the same seed draws the same picture; by chance if not given", "-s"),
  flag("size", "size", "WxH", "width and height in pixels; the model's own, or those of init"),
  flag("n", "integer", "N", "number of pictures: out-1.png, out-2.png and so on", "-n"),
  flag("sampler", "text", "NAME", "a sampler of this library, as dpmpp_2m"),
  flag("scheduler", "text", "CLASS", "a scheduler of diffusers, as DDIMScheduler, with the folder's own levels"),
  flag("eta", "number", "ETA", "noise of DDIM"),
  flag("clip_skip", "integer", "N", "last layers of the text encoder that are left out"),
  flag("init", "file", "FILE", "a picture to start from"),
  flag("strength", "number", "SHARE", "how much of the way to noise init goes, from 0 to 1"),
  flag("mask", "file", "FILE", "a picture that is white where init is painted"),
  flag("lora", "file", "FILE", "low-rank adapters, a file or its folder"),
  flag("lora_weight", "number", "W", "factor of their effect, 1 if not given"),
  flag("variant", "text", "NAME", "part of the name of the weights, as fp16"),
  flag("tokenizer", "file", "PATH", "the tokenizer for a single file of Stable Diffusion"),
  flag("predict", "text", "TARGET", "eps or v, for a single file that doesn't tell it"),
  flag("output", "file", "FILE", "the PNG to write, out.png if not given", "-o"),
}

sample.examples = {
  'sample stable-diffusion-v1-5 -p "a cat" --steps 20 -s 1 -o cat.png',
  'sample stable-diffusion-v1-5 -p "a dog" --init cat.png --strength 0.6 -o dog.png',
  "sample digits --class 4 -o three.png",
}

sample.files = { "init", "mask", "lora" } -- flags of files whose checksums are kept

--- The kinds of the flags that settings have, by their keys.
sample.kinds = { tokenizer = "path" }
for _, one in ipairs(sample.flags) do
  if one.kind ~= "file" then sample.kinds[one.key] = one.kind end
end
for _, key in ipairs(sample.files) do sample.kinds[key] = "summed" end

local COPIED = { "negative", "class", "steps", "guidance", "rescale", "n", "sampler", "scheduler", "eta", "clip_skip",
  "strength" }

-- Flags that are of no use without another one, in the order of their errors.
local PARTS = { { "mask", "init" }, { "strength", "init" }, { "lora_weight", "lora" } }

local function check_parts(flags)
  for _, pair in ipairs(PARTS) do
    if flags[pair[1]] and not flags[pair[2]] then
      fail.raise("sample: --%s is a part of --%s, which is missing", pair[1]:gsub("_", "-"), pair[2])
    end
  end
end

--- Raises if the picture would take the place of one that replay reads again.
---@param flags table
---@param output string
function sample.check_output(flags, output)
  for _, key in ipairs { "init", "mask" } do
    if flags[key] == output then
      fail.raise("--output: %s is the picture of --%s, which replay reads again; name another one", output, key)
    end
  end
end

--- Opens the model of a command.
---@param name string
---@param flags table
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
function sample.open(name, flags)
  check_parts(flags)
  local o = { variant = flags.variant, tokenizer = flags.tokenizer, predict = flags.predict }
  return load_pipeline(name, next(o) and o or nil)
end

-- ==== pictures that are read ============================================================

-- A picture as bytes of a size, {1, H, W, C}.
local function picture(path, channels, height, width)
  local x, message = images.read(path, channels)
  if not x then return nil, message end
  return images.to_float(core.picture_fit(x, height, width)):unsqueeze(1)
end

-- Height and width: those asked for, or the picture's as far as latents go.
local function size_of(own, flags)
  if flags.size then return flags.size.height, flags.size.width end
  local info, message = images.info(flags.init)
  if not info then return nil, message end
  local f = latents.factor(own)
  return math.max(f, info.height // f * f), math.max(f, info.width // f * f)
end

-- Adds the pictures to the options of a call.
local function with_pictures(own, flags, o)
  if flags.mask and not own.prompted then fail.raise("sample: --mask: %s paints no parts of pictures", own.class) end
  local height, width = size_of(own, flags)
  if not height then return nil, width end
  local x, message = picture(flags.init, own.prompted and 3 or own.image.C, height, width)
  if not x then return nil, message end
  o[own.prompted and "x0" or "init"], o.width, o.height = x, nil, nil
  if flags.mask then
    local mask
    mask, message = picture(flags.mask, 1, height, width)
    if not mask then return nil, message end
    o.keep = 1 - mask:gt(0):to(x:dtype())
  end
  return o
end

-- ==== a call ============================================================================

-- Raises if a text encoder has no tokenizer, as those of a single file.
local function check_tokenizers(own, name)
  if own.text and not own.tokenizer or own.text2 and not own.tokenizer2 then
    fail.raise("sample: --tokenizer is missing: %s has none; give that of a folder, or a list of merges", name)
  end
end

-- The options of pipe:steps.
local function options_of(own, flags)
  local o = { seed = flags.seed, prompt = flags.prompt }
  for _, key in ipairs(COPIED) do o[key] = flags[key] end
  if flags.size then o.width, o.height = flags.size.width, flags.size.height end
  if o.eta and not (o.sampler or own.scheduler) then
    fail.raise("sample: --eta: %s has no scheduler of diffusers; --sampler ddim takes it", own.class)
  end
  if o.sampler and o.eta then o.sampler, o.eta = { o.sampler, eta = o.eta }, nil end
  if own.prompted and not o.prompt then fail.raise "sample: --prompt is missing: what to draw" end
  if o.prompt and not own.prompted then
    fail.raise("sample: --prompt: %s has no text encoder; --class takes its classes", own.class)
  end
  if flags.init then return with_pictures(own, flags, o) end
  return o
end

local function drawn(one, o)
  local run = one:steps(o)
  local bar <close>, n = progress.new(#run.grid, { unit = "steps" }), run.x:size(1)
  for step in run do bar:update(step.i, ("%d %s"):format(n, n == 1 and "picture" or "pictures"), 1) end
  return one:decode(run.x)
end

-- Settings with the names and checksums of files, or nil with a message.
local function files_of(own, name, flags)
  local sums, message = settings.sums(own.files or {})
  if not sums then return nil, message end
  local out = { model = { name = settings.name(name), class = own.class, files = sums }, flags = {} }
  for key, value in pairs(flags) do out.flags[key] = value end
  out.flags.output = nil
  out.flags.tokenizer = flags.tokenizer and settings.name(flags.tokenizer)
  for _, key in ipairs(sample.files) do
    if flags[key] then
      local sum
      sum, message = settings.sum(flags[key])
      if not sum then return nil, message end
      out.flags[key] = { name = settings.name(flags[key]), sum = sum }
    end
  end
  return out
end

-- out.png, or out-1.png, out-2.png and so on.
local function path_of(output, k, n)
  if n == 1 then return output end
  local stem, ending = output:match "^(.*)(%.[^./\\]+)$"
  return ("%s-%d%s"):format(stem or output, k, ending or "")
end

--- Draws by flags and gives pictures with the settings of each.
---@param one diffusion.pipe
---@param name string the model's name, as the user wrote it
---@param flags table
---@return diffusion.tensor|nil images nil with a message
---@return table|string settings of all, or the message
function sample.draw(one, name, flags)
  local own = pipe.parts(one)
  if latents.are_bare(own) then
    return legible.refused("%s: there is no autoencoder, so it draws latents and no pictures", name)
  end
  check_tokenizers(own, name)
  if flags.lora then
    local fine, why = one:load_lora(flags.lora, { weight = flags.lora_weight })
    if not fine then return nil, why end
  end
  flags.seed = flags.seed or math.random(0, (1 << 31) - 1)
  flags.steps = flags.steps or own.steps
  local o, message = options_of(own, flags)
  if not o then return nil, message end
  local told
  told, message = files_of(own, name, flags)
  if not told then return nil, message end
  return drawn(one, o), told
end

--- Why a picture can't be written, before it is drawn. Raises if its name is of another format.
---@param output string
---@return string|nil message
function sample.misplaced(output)
  pictures.check_path("--output", output)
  local kind, message = core.place(output)
  local folder = output:match "^(.*)/[^/]*$"
  if kind ~= "new" or not folder then return message end
  local names, why = core.list(folder == "" and "/" or folder)
  return not names and ("%s: can't be written: %s"):format(output, why) or nil
end

--- Writes pictures with their settings.
---@param output string
---@param x diffusion.tensor {n, H, W, C}
---@param told table from sample.draw
---@param first integer|nil number of the first of them, 1 if nil
---@return string[]|nil paths nil with a message
---@return string|nil message
function sample.write(output, x, told, first)
  local paths, n = {}, x:size(1)
  for k = 1, n do
    told.image = (first or 1) + k - 1
    paths[k] = path_of(output, k, n)
    local fine, message = images.save(paths[k], x:narrow(1, k, 1):contiguous(), { text = settings.text(told) })
    if not fine then return nil, message end
  end
  return paths
end

--- The lines about written pictures.
---@param paths string[]
---@param x diffusion.tensor
---@param told table
---@return string
function sample.report(paths, x, told)
  local lines = {}
  for k, path in ipairs(paths) do
    lines[k] = legible.said("%s  %dx%d  seed %d", path, x:size(3), x:size(2), told.flags.seed)
  end
  return table.concat(lines, "\n")
end

--- The command.
---@param list string[] its words
---@return string|nil text to print; nil with a message
---@return string|nil message
function sample.run(list)
  local flags, places = words.read(sample, list)
  if flags.help then return words.help(sample) end
  if not places[1] then fail.raise "sample: MODEL is missing; `diffusion sample --help` shows how" end
  local output = flags.output or "out.png"
  sample.check_output(flags, output)
  local wrong = sample.misplaced(output)
  if wrong then return nil, wrong end
  local one, message = sample.open(places[1], flags)
  if not one then return nil, message end
  local x, told = sample.draw(one, places[1], flags)
  if not x then return nil, told end
  local paths
  paths, message = sample.write(output, x, told)
  if not paths then return nil, message end
  return sample.report(paths, x, told)
end

return sample
