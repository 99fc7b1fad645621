-- Files of other libraries. Such a file has one network, or those of a pipeline of latent diffusion, which
-- are recognised by their keys. The keys tell sizes. Other facts are options of d.hub.load, and a sentence
-- asks for those that are missing.
local source = require "diffusion.hub.foreign.source"
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local ldm = require "diffusion.hub.foreign.ldm"
local legible = require "diffusion.legible"
local others = require "diffusion.hub.foreign.others"
local parser = require "diffusion.file.parser"
local plan = require "diffusion.hub.foreign.plan"
local taesd = require "diffusion.hub.foreign.taesd"
local tensors = require "diffusion.file.tensors"
local trained = require "diffusion.nn.trained"

local foreign = { rules = plan.rules }

local kinds = {
  require "diffusion.hub.foreign.lucidrains",
  require "diffusion.hub.foreign.edm",
  require "diffusion.hub.foreign.adm",
  (require "diffusion.hub.foreign.dit"), -- require also returns its path
  taesd,
}

local fault = parser.fault()

-- ==== recognising ========================================================================

-- The prefixes of keys under which a network's mark stands, sorted.
local function prefixes(shapes, mark)
  local list = {}
  for key in pairs(shapes) do
    if key:sub(-#mark) == mark and (#key == #mark or key:sub(-#mark - 1, -#mark - 1) == ".") then
      list[#list + 1] = key:sub(1, #key - #mark)
    end
  end
  table.sort(list)
  return list
end

-- An average that lucidrains' ema_pytorch saves has the network in training next to it.
local function one_prefix(path, list)
  if #list == 2 and list[1]:find "^ema_model%." and list[2] == list[1]:gsub("^ema_model", "online_model") then
    return list[1]
  end
  if #list == 1 then return list[1] end
  fault("%s: several networks, under the keys '%s'", path, table.concat(list, "', '"))
end

-- The kind of a file's network, and the prefix of its keys.
local function recognised(path, shapes)
  for _, one in ipairs(kinds) do
    local list = one.find and one.find(shapes) or prefixes(shapes, one.mark)
    if #list > 0 then return one, one_prefix(path, list) end
  end
  fault("%s: its keys are those of no network that is known here", path)
end

-- ==== reading ============================================================================

local function read_one(path, all, shapes, facts, o)
  local one, prefix = recognised(path, shapes)
  local inside, sizes = source.below(path, all, shapes, prefix)
  local p = plan.new(path, inside, sizes, o, source.outer(all, facts, prefix))
  local found = one.read(p)
  local questions = p:questions(one.title)
  if questions then fault("%s", questions) end
  local process = found.process()
  p:check_used(one.title)
  local m = source.model(path, one.known, one.entry, found, o)
  if found.kind then trained.learn(m, process, found.kind) end
  local role = one.role or "unet"
  return { class = one.title:gsub("^an? ", ""), path = path, [role] = m, process = process, adapt = found.adapt,
    classes = { [role] = one.name }, entry = one.entry }
end

local function tensors_of(path, o)
  local all, facts = tensors.load(path, { key = o.key, copy = o.copy, dtype = o.dtype })
  source.need(path, all, facts)
  if core.is_tensor(all) or all[1] then fault("%s: tensors without names, not the weights of a network", path) end
  return all, facts
end

local function read(path, o)
  local all, facts = tensors_of(path, o)
  all = taesd.whole(path, all, function(other) return (tensors_of(other, o)) end)
  local shapes = arrays.shapes(all)
  local other = others.find(shapes)
  if other then fault("%s: %s", path, other) end
  local found = ldm.find(path, shapes)
  if not found then return read_one(path, all, shapes, facts, o) end
  if not o.only_vae then return ldm.read(path, all, shapes, facts, found, o) end
  if not found.vae then fault("%s: a denoiser of latent diffusion without its autoencoder", path) end
  return ldm.read(path, all, shapes, facts, { vae = found.vae }, o)
end

--- The parts of a pipe from a file of another library.
---@param path string
---@param o table checked options of d.hub.load
---@return table|nil parts for pipe.new; nil with a message
---@return string|nil message
function foreign.load(path, o) return parser.run(read, path, o) end

--- The autoencoder of a file of latent diffusion or of TAESD.
---@param path string
---@param o table options of d.hub.load: copy, dtype, frozen, groups, scaling_factor, shift_factor
---@param option string the option that names it
---@return diffusion.model|nil model nil with a message
---@return string|nil message
---@return table|nil info {class, files}
function foreign.vae(path, o, option)
  local own = { only_vae = true }
  for _, name in ipairs { "copy", "dtype", "frozen", "groups", "scaling_factor", "shift_factor" } do
    own[name] = o[name]
  end
  local parts, message = foreign.load(path, own)
  if not parts then return nil, message end
  if not parts.vae then return legible.refused("%s = '%s': %s, which is no autoencoder", option, path, parts.class) end
  return parts.vae, nil, { class = parts.classes.vae, files = { path } }
end

return foreign
