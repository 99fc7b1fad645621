-- The layers of a network under the names that other libraries give them in files of adapters.
local family = require "diffusion.nn.family"
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local original_names = require "diffusion.nn.original_names"
local peers = require "diffusion.nn.peers"
local places = require "diffusion.nn.places"

local names = {}

local private = object.private

local made = setmetatable({}, { __mode = "k" }) -- a model's entry, if its names depend on its options

-- The entry of diffusers in the model's family, or nil.
local function entry_of(m)
  local config = private[m].config
  local known = family.find(config.kind)
  local entry = known and known.peers and known.peers.diffusers
  if not (entry and entry.levels) then return entry end
  if not made[m] then
    local list = entry.levels(config)
    table.move(entry.names, 1, #entry.names, #list + 1, list)
    made[m] = opts.joined(entry, { names = list })
  end
  return made[m]
end

-- Words in the name of a class, and the part of a pipeline that it is.
local PARTS = { { "Transformer", "transformer" }, { "Autoencoder", "vae" }, { "VQ", "vae" },
  { "Text", "text_encoder" } }

--- The network's part of a pipeline: "unet", "transformer", "vae" or "text_encoder".
---@param m any a model
---@return string
function names.part(m)
  local entry = entry_of(m)
  for _, pair in ipairs(entry and PARTS or {}) do
    if entry.class:find(pair[1]) then return pair[2] end
  end
  return "unet"
end

--- The other library's path of a layer, or ours if it doesn't have the network.
---@param m any a model
---@param path string
---@return string
function names.theirs(m, path)
  local entry = entry_of(m)
  return entry and peers.theirs(entry, path) or path
end

--- A as the other library's network needs it, or back. The first layer of time may have other columns
--- there.
---@param m any a model
---@param path string ours
---@param down diffusion.tensor
---@param back boolean
---@return diffusion.tensor
function names.turned(m, path, down, back)
  local entry = entry_of(m)
  local turn = entry and entry.turned and entry.turned[path .. ".weight"]
  return turn and turn(down, back) or down
end

local function underscored(path) return (path:gsub("%.", "_")) end

-- The path in the network of the paper's authors, or nil if it isn't Stable Diffusion's.
local function original(m, path) return original_names.path(private[m].config, names.theirs(m, path)) end

--- The name that kohya's scripts give to a layer. Networks of SDXL's kind have the names of their authors.
---@param m any a model
---@param path string ours
---@return string
function names.flat(m, path)
  local own = private[m].config.addition_embed_type == "text_time" and original(m, path)
  return underscored(own or names.theirs(m, path))
end

-- The places by our path, and by the names that kohya's scripts write, of both kinds. Two places of one
-- such name are none.
local function by_name(m)
  local ours, flat = {}, {}
  for _, place in ipairs(places.of(m)) do
    ours[place.path] = place
    local theirs, authors = names.theirs(m, place.path), original(m, place.path)
    for _, name in ipairs { theirs, authors ~= theirs and authors or nil } do
      name = underscored(name)
      flat[name] = flat[name] == nil and place
    end
  end
  return ours, flat
end

--- The places of a file's adapters; false where there is none.
---@param m any a model
---@param list table[] {name, kohya}
---@return table[]
function names.places(m, list)
  local ours, flat = by_name(m)
  local entry, out = entry_of(m), {}
  for i, a in ipairs(list) do
    local path = entry and peers.ours(entry, a.name) or a.name
    out[i] = a.kohya and flat[a.name] or not a.kohya and ours[path] or false
  end
  return out
end

return names
