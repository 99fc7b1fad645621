-- The options of a pipe's calls. A pipe with text encoders takes prompts. Its other options depend on the start:
-- noise, an image, or an image of which a part is kept.
local opts = require "diffusion.opts"
local option = require "diffusion.sampler.option"

local text_options = {}

local drawing = {
  steps = opts.joined(option.steps, { default_text = "those of the pipeline" }),
  seed = option.seed,
  generator = { "generator|table", as = "diffusion.generator|diffusion.generator[]",
    text = "draws images in PyTorch's order, in place of a seed; a list has one for each image" },
  eta = { "number", min = 0, default_text = "that of the scheduler", text = "factor of the noise of DDIM and TCD" },
  sampler = opts.joined(option.sampler, { default_text = "that of the scheduler",
    text = "a sampler of this library in place of the scheduler's" }),
  grid = opts.joined(option.grid, { default_text = "that of the scheduler" }),
  scheduler = { "string|table", default_text = "that of the pipe",
    text = "another scheduler: a class of diffusers, or a config" },
  tile = { "boolean|table", default = false, as = "boolean|table",
    text = "the autoencoder works in tiles, with less memory: true, or {size =, overlap =}" },
  on_step = option.on_step, nan = option.nan,
}
drawing.sampler.default = nil

local size = {
  height = { "integer", min = 1, default_text = "that of the network", text = "height of an image in pixels" },
  width = { "integer", min = 1, default_text = "that of the network", text = "width of an image in pixels" },
}

-- ==== pipes without text ================================================================

text_options.plain = opts.declare("pipe", opts.joined(drawing, size, {
  n = { "integer", min = 1, default_text = "one, or one for each class or picture", text = "number of images" },
  class = { "number|string|table|tensor", as = "integer|string|(integer|string)[]|diffusion.tensor",
    text = "the class of all images or of each, from 1, or its name; 0 is no class" },
  guidance = opts.joined(option.guidance, { default_text = "that of the pipeline" }),
  init = { "tensor", text = "images {n, H, W, C} in [-1, 1] to start from" },
  strength = { "number", min = 0, max = 1, default = 1, text = "how much of the way to noise init goes" },
}))
text_options.plain.guidance.default = nil

-- ==== prompts ===========================================================================

local prompt = { "string|table", as = "string|string[]|table" }

local prompts = {
  prompt = opts.joined(prompt, { required = true,
    text = "a text, a list of texts, or the first result of pipe:encode_prompt" }),
  negative = opts.joined(prompt, { default_text = "the empty text",
    text = "text of the unconditional call, for all prompts or each; or the second result of encode_prompt" }),
  prompt2 = opts.joined(prompt, { default_text = "prompt", text = "the text for the second encoder" }),
  negative2 = opts.joined(prompt, { default_text = "negative",
    text = "text of the unconditional call for the second encoder" }),
  clip_skip = { "integer", min = 0, default = 0, text = "last layers of the text encoder that are left out" },
}

local function pair(text) return { "table", each = { "number" }, entries = 2, as = "number[]", text = text } end

local size_rules = opts.declare("pipe_sizes", {
  original = pair "{height, width} of the picture before it was cropped; the size drawn if not given",
  crop = pair "{top, left} of the part that was cropped; {0, 0} if not given",
  target = pair "{height, width} to which it was cropped; the size drawn if not given",
  negative_original = pair "original of the unconditional call",
  negative_crop = pair "crop of the unconditional call",
  negative_target = pair "target of the unconditional call",
  score = { "number", default = 6, text = "aesthetic score, for networks that take it in place of target" },
  negative_score = { "number", default = 2.5, text = "score of the unconditional call" },
})

--- The option `sizes`, checked.
---@param where string
---@param given table|nil
---@return table
function text_options.sizes(where, given) return opts.check(where .. ": sizes", given, size_rules, 0) end

local prompted = opts.joined(drawing, prompts, {
  n = { "integer", min = 1, default = 1, text = "number of images for each prompt" },
  guidance = { "number|function", as = "number|fun(model: function, without: table): function",
    default_text = "that of the pipeline",
    text = "scale of classifier-free guidance, none up to 1; or a function that makes a denoiser of the model, as "
      .. "d.guidance.cfg_pp(model, {scale = 0.6, without = without})" },
  rescale = { "number", min = 0, max = 1, default = 0, text = "share of the deviation that guidance restores" },
  sizes = { "table", as = "diffusion.pipe_sizes_options", default_text = "the size drawn",
    text = "sizes that SDXL's network takes" },
})

local latents = { "tensor", default_text = "drawn", text = "normals {n, h, w, C} in place of drawn ones" }

text_options.text2image = opts.declare("pipe_text2image", opts.joined(prompted, size, { init_latents = latents }))

local picture = { "tensor", required = true,
  text = "images {n, H, W, 3} in [-1, 1]: one for all, or one for each prompt or image" }

text_options.image2image = opts.declare("pipe_image2image", opts.joined(prompted, { x0 = picture,
  strength = { "number", min = 0, max = 1, default = 0.8, text = "how much of the way to noise x0 goes" } }))

text_options.inpaint = opts.declare("pipe_inpaint", opts.joined(prompted, { x0 = picture, init_latents = latents,
  keep = { "tensor", required = true, text = "1 where x0 stays, 0 where it is painted: {H, W, 1}, or of x0's shape" },
  strength = { "number", min = 0, max = 1, default = 1, text = "how much of the way to noise x0 goes" },
  how = { "string|table", as = '"blend"|"repaint"|table', default_text = "by the network",
    text = 'for networks without a mask: "blend" each step as diffusers does, or "repaint", also as '
      .. '{"repaint", jump = 10, resample = 10}' },
}))

text_options.decode = opts.declare("pipe_decode", { tile = drawing.tile })

text_options.encode = opts.declare("pipe_encode_prompt", prompts)

--- The rules of a call that may be any of them: what is given decides.
---@param given any
---@return table
function text_options.of(given)
  if type(given) == "table" and given.keep ~= nil then return text_options.inpaint end
  if type(given) == "table" and given.x0 ~= nil then return text_options.image2image end
  return text_options.text2image
end

return text_options
