-- The weights in a folder: which of its files hold them, and their tensors by name. A file may be
-- cut into shards, which an index lists. Variants (fp16, non_ema) stand next to the plain weights.
local folder = require "diffusion.hub.folder"
local legible = require "diffusion.legible"
local safetensors = require "diffusion.file.safetensors"
local shards = require "diffusion.file.shards"

local weights = {}

-- ==== names of files =====================================================================

-- The names that libraries give to weights, without what follows.
local STEMS = { diffusers = { "diffusion_pytorch_model" }, transformers = { "model", "pytorch_model" } }

-- Formats, the first of which is taken: the peers prefer an index to a file of the same name.
local FORMATS = { "safetensors.index", "safetensors", "bin.index", "bin" }

-- What follows the stem in the name of an index or of a file: patterns with the variant.
local PATTERNS = {
  { "safetensors.index", "^%.safetensors%.index%.?([%w_-]*)%.json$" },
  { "safetensors.index", "^%.safetensors%.([%w_-]+)%.index%.json$" },
  { "bin.index", "^%.bin%.index%.?([%w_-]*)%.json$" },
  { "bin.index", "^%.bin%.([%w_-]+)%.index%.json$" },
  { "safetensors", "^%.?([%w_-]*)%.safetensors$" },
  { "bin", "^%.?([%w_-]*)%.bin$" },
}

-- The format and the variant that a name ends in, nil for shards and other files.
local function format_of(rest)
  if rest:find "%-%d+%-of%-%d+%f[^%d]" then return nil end
  for _, one in ipairs(PATTERNS) do
    local variant = rest:match(one[2])
    if variant then return one[1], variant end
  end
end

--- The weights in a folder: {variant = {format = the file's name}}. The plain variant is "".
---@param here diffusion.hub_folder
---@param library string "diffusers" or "transformers"
---@return table<string, table<string, string>>
function weights.variants(here, library)
  local out = {}
  for _, stem in ipairs(STEMS[library] or {}) do
    for name in pairs(here.files) do
      local format, variant
      if name:sub(1, #stem) == stem then format, variant = format_of(name:sub(#stem + 1)) end
      if format then
        out[variant] = out[variant] or {}
        out[variant][format] = out[variant][format] or name
      end
    end
  end
  return out
end

-- ==== choosing ===========================================================================

-- Weights of other programs, which diffusers doesn't read by itself.
local OTHERS = { msgpack = "Flax", onnx = "ONNX", flashpack = "FlashPack", gguf = "GGUF" }

-- The reason why there are no weights.
local function absence(here, library)
  local unfinished = folder.unfinished(here)
  if unfinished then return ("no weights yet: the download of %s isn't finished"):format(unfinished) end
  for _, name in ipairs(folder.sorted(here.files)) do
    local other = OTHERS[name:match "%.(%w+)$"]
    if other then return ("no weights but those for %s (%s)"):format(other, name) end
    if name:find "%-%d+%-of%-%d+" then return ("a part of the weights (%s) without the index"):format(name) end
  end
  return ("no weights: %s.safetensors is missing"):format(STEMS[library][1])
end

local function shown(variants)
  local names = {}
  for _, name in ipairs(folder.sorted(variants)) do
    names[#names + 1] = name == "" and "the plain weights" or ("variant = \"%s\""):format(name)
  end
  return table.concat(names, ", ")
end

-- The variant to take: the given one, the plain weights, or the only one.
local function variant_of(here, variants, wanted)
  if wanted and variants[wanted] then return wanted end
  if wanted then
    return legible.refused("%s: no weights of variant '%s'; there are %s", here.path, wanted, shown(variants))
  end
  if variants[""] then return "" end
  local only = next(variants)
  if next(variants, only) == nil then return only end
  return legible.refused("%s: weights of several variants; choose one of %s", here.path, shown(variants))
end

--- Chooses the weights of a folder.
---@param here diffusion.hub_folder
---@param library string "diffusers" or "transformers"
---@param wanted string|nil the variant
---@return table|nil choice {folder =, file = name, format =, variant =}; nil with a message
---@return string|nil message
function weights.choose(here, library, wanted)
  local variants = weights.variants(here, library)
  if not next(variants) then return legible.refused("%s: %s", here.path, absence(here, library)) end
  local variant, message = variant_of(here, variants, wanted)
  if not variant then return nil, message end
  for _, format in ipairs(FORMATS) do
    local file = variants[variant][format]
    if file then return { folder = here, file = file, format = format, variant = variant } end
  end
end

-- ==== reading ============================================================================

-- Adds the download that isn't finished to a message, if there is one.
local function explained(here, message)
  local unfinished = folder.unfinished(here)
  if not unfinished then return nil, message end
  return legible.refused("%s; the download of %s isn't finished", message, unfinished)
end

--- The tensors of chosen weights by name: windows on the mapped files. One of a type that no tensor
--- has is an error when it is read.
---@param choice table of weights.choose
---@param o table {copy =, dtype =}
---@return table<string, diffusion.tensor>|nil tensors nil with a message
---@return string|nil message
function weights.read(choice, o)
  local path = folder.join(choice.folder, choice.file)
  if choice.format:find "^bin" then
    return legible.refused("%s: weights of this format aren't read yet", path)
  end
  local read = choice.format == "safetensors.index" and shards.load or safetensors.read
  local tensors, message = read(path, { copy = o.copy, dtype = o.dtype }, "the weights")
  if not tensors then return explained(choice.folder, message) end
  return tensors
end

return weights
