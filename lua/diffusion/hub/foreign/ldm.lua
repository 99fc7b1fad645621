-- Single files of latent diffusion (Rombach et al. 2022) have Stable Diffusion 1, 2 or XL with its autoencoder and
-- its text encoders, or one of these alone. Their keys tell sizes and the version.
local source = require "diffusion.hub.foreign.source"
local denoiser = require "diffusion.hub.foreign.ldm_unet"
local autoencoder = require "diffusion.hub.foreign.ldm_vae"
local encoder = require "diffusion.hub.foreign.ldm_text"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local pipelines = require "diffusion.hub.pipelines"
local plan = require "diffusion.hub.foreign.plan"
local schedule = require "diffusion.hub.foreign.ldm_schedule"
local tokenizer = require("diffusion.text.tokenizer").tokenizer

local ldm = {}

local fault = parser.fault()
local need = source.need

-- ==== versions ===========================================================================

-- Facts of a version that its keys imply: the size of latents, how the text encoders compute, and the tokens that
-- fill up texts.
local versions = {
  sd1 = { title = "Stable Diffusion 1", class = "StableDiffusion", size = 64,
    text = { act = "quick_gelu" }, pad = "<|endoftext|>" },
  sd2 = { title = "Stable Diffusion 2", class = "StableDiffusion", size = 96,
    text = { act = "gelu", penultimate = true }, pad = "!" },
  xl = { title = "Stable Diffusion XL", class = "StableDiffusionXL", size = 128,
    text = { act = "quick_gelu" }, text2 = { act = "gelu", projection = true }, pad = "<|endoftext|>", pad2 = "!",
    facts = { zeros = true, scored = false } },
  refiner = { title = "the refiner of Stable Diffusion XL", class = "StableDiffusionXLImg2Img",
    size = 128, text2 = { act = "gelu", projection = true }, pad2 = "!", facts = { zeros = false, scored = true } },
}

-- ==== finding ============================================================================

-- The one prefix of a network, nil if it isn't there.
local function prefix_of(path, shapes, network)
  local seen, list = {}, {}
  for key in pairs(shapes) do
    local prefix = network.prefix(key)
    if prefix and not seen[prefix] then
      seen[prefix] = true
      list[#list + 1] = prefix
    end
  end
  table.sort(list)
  if #list > 1 then fault("%s: several networks, under the keys '%s'", path, table.concat(list, "', '")) end
  return list[1]
end

--- The networks of a file, nil if it isn't one of latent diffusion with texts.
---@param path string
---@param shapes table<string, integer[]> by key
---@return table|nil {unet, vae = prefixes, text, text2 = as ldm_text.find gives them}
function ldm.find(path, shapes)
  local out = { unet = prefix_of(path, shapes, denoiser), vae = prefix_of(path, shapes, autoencoder) }
  if not (out.unet or out.vae) then return nil end
  local base = (out.unet or ""):match "^(.*)model%.diffusion_model%.$" -- training may put the file's keys under others
  out.text, out.text2 = encoder.find(shapes, base or "")
  return out
end

-- ==== reading ============================================================================

local File = {}
File.__index = File

-- A plan for the network under a prefix. All plans of a file ask together.
function File:plan(prefix)
  local inside, sizes = source.below(self.path, self.all, self.shapes, prefix)
  local p = plan.new(self.path, inside, sizes, self.o, source.outer(self.all, self.facts, prefix))
  p.missing, p.asked = self.missing, self.asked
  self.plans[#self.plans + 1] = p
  return p
end

-- The averages of a network's values, which stand under keys without dots.
local function averages(file, p, prefix)
  for _, key in ipairs(opts.names(p.tensors)) do
    local own = "model_ema." .. (prefix .. key):gsub("^model%.", ""):gsub("%.", "")
    p.tensors[key] = file.shapes[own] and file.all[own]
      or fault("%s: ema = true: there is no average of '%s'", file.path, prefix .. key)
  end
end

-- Pixels of an image, in each direction, for one latent.
local function factor_of(file, found)
  if not found.vae then return 8 end
  return 1 << math.max(0, plan.new(file.path, {}, file.shapes, file.o, {}):parts(found.vae .. "encoder.down") - 1)
end

-- Height and width of the latents that a network was trained on. Those of version 2 with the target eps are smaller.
local function size_of(p, kind, target, factor)
  local image, usual = p.o.image, kind == "sd2" and target == "eps" and versions.sd1.size or versions[kind].size
  if type(image) == "table" then return { image[1] // factor, image[2] // factor } end
  return image and image // factor or usual
end

local function read_unet(file, found)
  local p = file:plan(found.unet)
  local pooled = found.text2 and encoder.pooled(file.shapes, found.text2)
    or found.text and encoder.pooled(file.shapes, found.text)
  if not p:shape "label_emb.0.0.weight" then pooled = nil end
  local kind, numbers = denoiser.kind(p, pooled, found.text ~= nil and found.text2 ~= nil)
  local version = versions[kind]
  if kind == "refiner" then found.text2, found.text = found.text2 or found.text, nil end
  if p.o.ema then averages(file, p, found.unet) end
  local target = schedule.target(p, kind, file)
  local one = denoiser.read(p, size_of(p, kind, target, factor_of(file, found)), numbers, pooled)
  return { network = denoiser, found = one, class = denoiser.class }, version, schedule.of(p, kind, target, file)
end

local function read_vae(file, found, version)
  local p, size = file:plan(found.vae), (version or versions.sd1).size * factor_of(file, found)
  local known = version and pipelines.find(version.class .. "Pipeline")
  return { network = autoencoder, found = autoencoder.read(p, size, known and known.factor), class = autoencoder.class }
end

local function read_text(file, found, how)
  local one = encoder.read(file:plan(found.prefix), found.form, how)
  return { network = encoder, found = one, class = one.class }
end

-- Reads all of a file before anything is made: networks by part, and facts of the pipe.
local function read_all(file, found)
  local list, version, process = {}, nil, nil
  if found.unet then list.unet, version, process = read_unet(file, found) end
  if found.vae and not (found.unet and file.o.vae ~= nil) then
    list.vae = read_vae(file, found, version)
  end
  for _, name in ipairs(version and file.o.text and { "text", "text2" } or {}) do
    if found[name] and version[name] then list[name] = read_text(file, found[name], version[name]) end
  end
  return list, version, process
end

-- ==== the pipe ===========================================================================

local function add_tokenizers(file, out, version)
  local path = file.o.tokenizer
  if not path then return end
  for ending, pad in pairs { [""] = version.pad, ["2"] = version.pad2 } do
    local one, message = tokenizer { path = path, pad = pad }
    out["tokenizer" .. ending] = need(path, one, message)
  end
end

local function class_of(list, version)
  local o = list.unet.found.options
  local painter = o.in_channels ~= o.out_channels
  return version.class .. (painter and "Inpaint" or "") .. "Pipeline"
end

local function add_version(file, out, list, version, process)
  out.class = class_of(list, version)
  for key, value in pairs(version.facts or {}) do out[key] = value end
  for key, value in pairs(process) do out[key] = value end
  add_tokenizers(file, out, version)
end

-- Options that another autoencoder takes, whose path is an option too.
local OF_A_VAE = { "groups", "scaling_factor", "shift_factor" }

-- Refuses options that no part of the file needed.
local function check_used(p, file, what)
  for _, one in ipairs(file.plans) do p:joins(one) end
  for _, name in ipairs(file.o.vae and OF_A_VAE or {}) do p.used[name] = true end
  p:check_used(what)
end

--- The parts of a pipe from a file.
---@param path string
---@param all table<string, any> its tensors
---@param shapes table<string, integer[]>
---@param facts any the second result of d.load
---@param found table from ldm.find
---@param o table checked options of d.hub.load
---@return table parts for pipe.new
function ldm.read(path, all, shapes, facts, found, o)
  local file = setmetatable({ path = path, all = all, shapes = shapes, facts = facts, o = o, missing = {},
    asked = {}, plans = {} }, File)
  schedule.refuse_others(file)
  local list, version, process = read_all(file, found)
  local p = plan.new(path, {}, {}, o, {})
  p.missing = file.missing
  local what = version and "a network of " .. version.title or "an autoencoder of latent diffusion"
  local questions = p:questions(what)
  if questions then fault("%s", questions) end
  check_used(p, file, what)
  local out = { class = autoencoder.class, path = path, classes = {} }
  for _, name in ipairs { "unet", "vae", "text", "text2" } do
    local one = list[name]
    if one then
      out[name] = source.model(path, one.network.known, one.network.entry, one.found, o)
      out.classes[name] = one.class
    end
  end
  if version then add_version(file, out, list, version, process) end
  return out
end

return ldm
