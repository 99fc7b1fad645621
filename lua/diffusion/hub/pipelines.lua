-- The classes of pipelines that are run here are those of diffusers and one more. Each adds to its parts:
--   denoiser    the component that is the denoiser, "unet" if absent
--   vae         the component that decodes latents
--   scheduler   the class that the pipeline makes of any scheduler
--   only        the one class of schedulers that it runs with, and that no other pipeline runs with
--   steps       number of steps by default
--   guidance    scale of guidance by default
--   plain       true if a learned variance is left out
--   unit        true if images are in [0, 1] there
--   factor      scale of the latents of an autoencoder whose file doesn't tell it
--   edits       true if the pipeline only edits pictures
--   prompted    true if the denoiser is conditioned on a text
--   joins       true if it takes the states of two text encoders side by side, and sizes
--   corrects    values of the scheduler's config that the pipeline sets, whatever the folder says
--   side        the least side of latents in folders of before diffusers 0.9, whose networks tell a smaller one
--   layout      true if the text encoder draws a layout, which the denoiser gets next to x
--   thins       true if the pipeline starts from an image at LCM's timesteps, rather than at the scheduler's steps
local opts = require "diffusion.opts"

--- The class of this library's own.
local pipelines = { with_layout = "StableDiffusionLayoutPipeline" }

local function stable(more)
  return opts.joined({ steps = 50, guidance = 7.5, vae = "vae", prompted = true, factor = 0.18215 }, more or {})
end
local drawn, painted = { steps_offset = 1, clip_sample = false }, { steps_offset = 1, skip_prk_steps = true }
local function first(corrects) return stable { corrects = corrects, side = 64 } end
local function large(more) return stable(opts.joined({ guidance = 5, joins = true, factor = 0.13025 }, more or {})) end
local function distilled() return stable { steps = 4, guidance = 8.5, thins = true } end

local known = {
  DDPMPipeline = { steps = 1000 },
  DDIMPipeline = { steps = 50, scheduler = "DDIMScheduler" },
  PNDMPipeline = { steps = 50, scheduler = "PNDMScheduler" },
  LDMPipeline = { steps = 50, vae = "vqvae" },
  ScoreSdeVePipeline = { steps = 2000, unit = true, only = "ScoreSdeVeScheduler" },
  KarrasVePipeline = { steps = 50, only = "KarrasVeScheduler" },
  ConsistencyModelPipeline = { steps = 1, only = "CMStochasticIterativeScheduler" },
  DiTPipeline = { steps = 50, denoiser = "transformer", vae = "vae", guidance = 4, plain = true },
  RePaintPipeline = { steps = 250, edits = true, only = "RePaintScheduler" },
  StableDiffusionPipeline = first(drawn), StableDiffusionImg2ImgPipeline = first(drawn),
  StableDiffusionInpaintPipeline = first(painted), StableDiffusionInpaintPipelineLegacy = first(drawn),
  StableDiffusionXLPipeline = large(), StableDiffusionXLImg2ImgPipeline = large(),
  StableDiffusionXLInpaintPipeline = large { guidance = 7.5 },
  [pipelines.with_layout] = stable { steps = 30, guidance = 1.5, layout = true },
  LatentConsistencyModelPipeline = distilled(), LatentConsistencyModelImg2ImgPipeline = distilled(),
}

-- Names that old versions gave to the same classes.
local renamed = { LatentDiffusionUncondPipeline = "LDMPipeline" }

--- The facts about a class, nil if it isn't run here.
---@param class string
---@return table|nil
function pipelines.find(class) return known[renamed[class] or class] end

--- The class that is the only one to run with a scheduler, nil if others do too.
---@param scheduler string its class
---@return string|nil
function pipelines.of_scheduler(scheduler)
  for class, facts in pairs(known) do
    if facts.only == scheduler then return class end
  end
end

--- The classes, sorted.
---@return string[]
function pipelines.names()
  return opts.names(known)
end

return pipelines
