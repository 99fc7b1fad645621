-- The weights in a folder: which of its files hold them, and their tensors by name. A file may be
-- cut into shards, which an index lists. Variants (fp16, non_ema) stand next to the plain weights.
local core = require "diffusion.core"
local folder = require "diffusion.hub.folder"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local pytorch = require "diffusion.file.pytorch"
local safetensors = require "diffusion.file.safetensors"
local shards = require "diffusion.file.shards"

local weights = {}

-- ==== names of files =====================================================================

-- The names that libraries give to weights, without what follows.
local STEMS = { diffusers = { "diffusion_pytorch_model" }, transformers = { "model", "pytorch_model" } }

-- Formats, the first of which is taken: the peers prefer an index to a file of the same name.
local FORMATS = { "safetensors.index", "safetensors", "bin.index", "bin" }

-- The rest of the name of an index or of a file, behind the stem: patterns with the variant.
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

-- The variant of a shard: STEM.fp16-00001-of-00002.safetensors. nil for other files.
local function shard_of(rest) return rest:match "^%.?([%w_-]-)%-%d+%-of%-%d+%.safetensors$" end

--- The files of safetensors weights of a variant, with its shards and its index.
---@param here diffusion.hub_folder
---@param stem string
---@param variant string "" for the plain ones
---@return string[]
function weights.files(here, stem, variant)
  local out = {}
  for _, name in ipairs(opts.names(here.files)) do
    if name:sub(1, #stem) == stem then
      local format, own = format_of(name:sub(#stem + 1))
      own = own or shard_of(name:sub(#stem + 1))
      if own == variant and not (format and format:find "^bin") then out[#out + 1] = name end
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
  for _, name in ipairs(opts.names(here.files)) do
    local other = OTHERS[name:match "%.(%w+)$"]
    if other then return ("no weights but those for %s (%s)"):format(other, name) end
    if name:find "%-%d+%-of%-%d+" then return ("a part of the weights (%s) without the index"):format(name) end
  end
  return ("no weights: %s.safetensors is missing"):format(STEMS[library][1])
end

local function shown(variants)
  local names = {}
  for _, name in ipairs(opts.names(variants)) do
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

--- The names of the files that hold chosen weights, with their index.
---@param choice table from weights.choose
---@return string[]
function weights.names(choice)
  local set = { [choice.file] = true }
  local path = folder.join(choice.folder, choice.file)
  for _, part in pairs(choice.format:find "index$" and shards.index(path, "the weights") or {}) do set[part] = true end
  return opts.names(set)
end

-- ==== reading ============================================================================

-- Adds the download that isn't finished to a message, if there is one.
local function explained(here, message)
  local unfinished = folder.unfinished(here)
  if not unfinished then return nil, message end
  return legible.refused("%s; the download of %s isn't finished", message, unfinished)
end

local function read_pytorch(path, o)
  local tensors, message = pytorch.load(path, { copy = o.copy, dtype = o.dtype })
  if not tensors then return nil, message end
  if core.is_tensor(tensors) or rawget(tensors, 1) then
    return legible.refused("%s: tensors without names, not the weights", path)
  end
  return tensors
end

-- The files of an index of PyTorch's, by tensor.
local function read_parts(path, o)
  local map, message = shards.index(path, "the weights")
  if not map then return nil, message end
  local here, parts, all = path:match "^.*/" or "", {}, {}
  for name, part in pairs(map) do
    if not parts[part] then
      local tensors, why = read_pytorch(here .. part, o)
      if not tensors then return nil, why end
      parts[part] = opts.joined(tensors) -- pairs lists arrays that can't be read too, and indexing raises
    end
    all[name] = parts[part][name]
    if not all[name] then
      return legible.refused("%s: tensor '%s' should be in %s, which doesn't have it", path, name, part)
    end
  end
  return all
end

local function read_safetensors(path, o)
  return safetensors.read(path, { copy = o.copy, dtype = o.dtype }, "the weights")
end

local function read_shards(path, o) return shards.load(path, { copy = o.copy, dtype = o.dtype }, "the weights") end

local READERS = { safetensors = read_safetensors, ["safetensors.index"] = read_shards, bin = read_pytorch,
  ["bin.index"] = read_parts }

--- The tensors of chosen weights by name: windows on the mapped files. One of a type that no tensor
--- has is an error when it is read.
---@param choice table from weights.choose
---@param o table {copy =, dtype =}
---@return table<string, diffusion.tensor>|nil tensors nil with a message
---@return string|nil message
function weights.read(choice, o)
  local tensors, message = READERS[choice.format](folder.join(choice.folder, choice.file), o)
  if not tensors then return explained(choice.folder, message) end
  return tensors
end

return weights
