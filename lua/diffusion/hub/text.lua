-- Prompts as inputs of a denoiser: the states of one or two text encoders, and numbers about sizes and guidance.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local layout = require "diffusion.hub.layout"
local sizes = require "diffusion.hub.sizes"
local text_options = require "diffusion.hub.text_options"
local warning = require "diffusion.warning"

local text = {}

-- ==== prompts as lists ==================================================================

local function is_encoded(prompt) return type(prompt) == "table" and core.is_tensor(prompt.context) end

-- A prompt as a list of texts.
local function listed(where, name, given)
  if type(given) == "string" then given = { given } end
  if #given == 0 and next(given) ~= nil then
    fail.raise("%s: %s is a table with '%s'; texts, or inputs {context = tensor} expected", where, name,
      tostring(next(given)))
  end
  if #given == 0 then fail.raise("%s: %s is an empty list; a text or more expected", where, name) end
  for i, one in ipairs(given) do
    if type(one) ~= "string" then
      fail.raise("%s: %s %d must be a text, got %s", where, name, i, kind.shown(one))
    end
    local fine, bad = utf8.len(one)
    if not fine then fail.raise("%s: %s %d isn't UTF-8: its byte %d is 0x%02X", where, name, i, bad, one:byte(bad)) end
  end
  return given
end

-- n texts: those given, or the only one n times.
local function spread(where, name, given, n)
  local list = listed(where, name, given)
  if #list == n then return list end
  if #list > 1 then fail.raise("%s: %d texts of %s for %d prompts", where, #list, name, n) end
  local out = {}
  for i = 1, n do out[i] = list[1] end
  return out
end

-- ==== encoders ==========================================================================

local function check_ready(where, own)
  if own.text or own.text2 then return end
  fail.raise("%s: %s has no text encoder; give prompt and negative as inputs, {context = tensor}", where, own.class)
end

local function warn(where, own, most, info)
  for i, words in ipairs(info.unknown) do
    local cut = info.cut[i]
    if cut then warning.once(own, cut, "%s: %d tokens fit; of a prompt, \"%s\" was cut", where, most, cut) end
    for _, word in ipairs(words) do
      warning.once(own, "word " .. word, "%s: the vocabulary doesn't have the word \"%s\" of a text; all such words "
        .. "look alike to the text encoder", where, word)
    end
  end
end

-- Tokens of texts. Warnings tell of texts that are too long and cut, and of unknown words.
local function tokens(where, own, tokenizer, encoder, list)
  local length = math.min(tokenizer.length, encoder:config().max_position_embeddings)
  local ids, info = tokenizer(list, { length = length })
  warn(where, own, length - 2, info)
  return ids
end

-- Raises if more layers are left out than there are. SDXL leaves out one more.
local function check_skip(where, own, which, encoder, skip)
  local layers, more = encoder:config().num_hidden_layers, own.joins and 1 or 0
  if skip <= layers then return end
  fail.raise("%s: clip_skip = %d, but text%s has %d layers, of which %d at most can be left out", where, skip - more,
    which, layers, layers - more)
end

-- The states of one encoder, and the embedding of whole texts if it has a projection.
local function states(where, own, which, list, skip)
  local tokenizer, encoder = own["tokenizer" .. which], own["text" .. which]
  if not tokenizer then
    fail.raise("%s: there is no tokenizer; give one, as tokenizer = \"path\" of d.hub.load or as pipe.tokenizer%s",
      where, which)
  end
  local ids = tokens(where, own, tokenizer, encoder, list)
  check_skip(where, own, which, encoder, skip)
  return encoder(ids, { skip = skip, norm = not own.joins })
end

-- Inputs of the denoiser for texts. SDXL joins the states of two encoders, those before the last layer.
local function encoded(where, own, list, list2, skip)
  if not own.joins then
    local context, whole = states(where, own, "", list, skip)
    return { context = context, layout = own.layout and layout.of(where, own, whole) or nil }
  end
  local parts = {}
  if own.text then parts[1] = states(where, own, "", list, skip + 1) end
  local last, pooled = states(where, own, "2", list2, skip + 1)
  parts[#parts + 1] = last
  return { context = core.ops.cat(parts, -1), text_embeds = pooled }
end

--- Inputs of the denoiser for texts, which a gradient can pass.
---@param where string
---@param own table the private state of a pipe
---@param list string[]
---@param skip integer last layers that are left out
---@return table<string, diffusion.tensor>
function text.states(where, own, list, skip)
  check_ready(where, own)
  return encoded(where, own, list, list, skip)
end

local function zeros(inputs)
  local out = {}
  for name, x in pairs(inputs) do out[name] = core.zeros(x:shape()) end
  return out
end

-- Raises for options of texts that would count for nothing.
local function check_used(where, own, o)
  for second, first in pairs { prompt2 = "prompt", negative2 = "negative" } do
    if o[second] and not own.joins then
      fail.raise("%s: %s: a %s has one text encoder, whose text is %s", where, second, own.class, first)
    elseif o[second] and is_encoded(o[first]) then
      fail.raise("%s: %s has no use, since %s is encoded already", where, second, first)
    end
  end
  if o.clip_skip > 0 and is_encoded(o.prompt) then
    fail.raise("%s: clip_skip = %d has no use, since prompt is encoded already", where, o.clip_skip)
  end
end

local function positive(where, own, o)
  if is_encoded(o.prompt) then return o.prompt end
  check_ready(where, own)
  local list = listed(where, "prompt", o.prompt)
  return encoded(where, own, list, o.prompt2 and spread(where, "prompt2", o.prompt2, #list) or list, o.clip_skip)
end

-- Inputs of the unconditional call. clip_skip is for the prompt alone, as in diffusers.
local function negative(where, own, o, inputs)
  if is_encoded(o.negative) then return o.negative end
  if o.negative == nil and o.negative2 == nil and own.zeros then return zeros(inputs) end
  check_ready(where, own)
  local n = inputs.context:size(1)
  local list = spread(where, "negative", o.negative or "", n)
  return encoded(where, own, list, o.negative2 and spread(where, "negative2", o.negative2, n) or list, 0)
end

--- Inputs of a denoiser for prompts, one row for each, and those of its unconditional call.
---@param where string
---@param own table the private state of a pipe
---@param o table {prompt, negative, prompt2, negative2, clip_skip}
---@param plain boolean|nil true if there is no unconditional call
---@return table<string, diffusion.tensor> inputs
---@return table<string, diffusion.tensor>|nil without
function text.encode(where, own, o, plain)
  check_used(where, own, o)
  return gradient.no_grad(function()
    local inputs = positive(where, own, o)
    if plain then return inputs end
    return inputs, negative(where, own, o, inputs)
  end)
end

-- ==== a call ============================================================================

-- Each row n times, or the only row for all.
local function repeated(where, name, inputs, prompts, n)
  local out = {}
  for key, x in pairs(inputs) do
    local rows = x:size(1)
    if rows ~= prompts and rows ~= 1 then
      fail.raise("%s: %s has %d rows of '%s' for %d prompts", where, name, rows, key, prompts)
    end
    out[key] = x:repeat_each(rows == 1 and prompts * n or n)
  end
  return out
end

-- Sines and cosines of the scale of guidance less 1, an input of networks that were distilled with guidance.
local function guidance_rows(scale, width, n)
  local half, row = width // 2, {}
  for i = 1, half do
    local angle = (scale - 1) * 1000 * math.exp(-math.log(10000) * (i - 1) / (half - 1))
    row[i], row[half + i] = math.sin(angle), math.cos(angle)
  end
  if width % 2 == 1 then row[width] = 0 end
  local rows = {}
  for k = 1, n do rows[k] = row end
  return core.tensor(rows)
end

-- The width of the embedding of the scale, nil for other networks.
local function distilled(own) return latents.config(own.unet).time_cond_proj_dim end

--- The inputs of a call's prompts, one row for each image.
---@param where string
---@param own table the private state of a pipe
---@param o table the call's options
---@param images integer|nil number of images to start from
---@return table {n = number of images, inputs, without, guidance}
function text.call(where, own, o, images)
  local guidance = o.guidance or own.guidance
  local width = distilled(own)
  local plain = type(guidance) == "number" and (guidance <= 1 or width ~= nil)
  local inputs, without = text.encode(where, own, o, plain)
  local prompts, each = inputs.context:size(1), o.n
  if prompts == 1 and each == 1 and images then prompts = images end
  local call = { n = prompts * each, prompts = prompts, inputs = repeated(where, "prompt", inputs, prompts, each),
    guidance = not plain and guidance or nil }
  call.without = without and repeated(where, "negative", without, prompts, each)
  if width then
    call.inputs.time_cond = guidance_rows(type(guidance) == "number" and guidance or own.guidance, width, call.n)
  end
  return call
end

--- Adds the numbers about sizes.
---@param where string
---@param own table
---@param call table from text.call
---@param given table|nil the option `sizes`
---@param drawn integer[] {height, width} of the images
function text.add_sizes(where, own, call, given, drawn)
  if not own.joins then
    if given then fail.raise("%s: sizes: the network of a %s takes none", where, own.class) end
    return
  end
  local numbers, without = sizes.of(where, own, given, drawn, call.n)
  call.inputs.time_ids = call.inputs.time_ids or numbers
  if call.without then call.without.time_ids = call.without.time_ids or without end
end

text.rules = text_options
return text
