-- d.load_pipeline: a pipe by the name of a network that comes with the library, or from a folder.
local asset = require "diffusion.asset"
local core = require "diffusion.core"
local hub = require "diffusion.hub"
local legible = require "diffusion.legible"
local load_model = require("diffusion.nn.load").load_model
local opts = require "diffusion.opts"
local pipe = require "diffusion.hub.pipe"

-- The file or folder of what comes with the library, and its kind, unless there is a file or folder of that name.
local function shipped(name)
  if name:find "[/\\]" or core.place(name) ~= "new" then return nil end
  local file, folder = asset.path(name .. ".safetensors"), asset.path(name)
  if core.place(file) == "file" then return file, "file" end
  if core.place(folder .. "/model_index.json") == "file" then return folder, "folder" end
end

local NAMES = { "digits", "emoji" } -- they come with the library

-- A pipe of a folder, or nil and a message that tells which name was meant.
local function opened(name, options)
  local one, message = hub.load(name, options)
  local meant = not one and core.place(name) == "new" and opts.nearest(name, NAMES)
  if meant then return legible.refused("%s; '%s' comes with the library", message, meant) end
  return one, message
end

--- Opens a pipe, which draws images: one that comes with the library, by its name, or a folder, as d.hub.load does.
---@param name string "digits", "emoji" (texts to pictures), a folder, or a name in the cache of huggingface_hub
---@param options diffusion.hub_load_options? for a folder
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
---@usage local pipe = assert(d.load_pipeline "digits")
--- print(pipe)
--- d.image.show(pipe{ class = { 4, 5 }, steps = 10, seed = 1 })
local function load_pipeline(name, options)
  local path, form = shipped(opts.path("load_pipeline", name))
  if form ~= "file" then return opened(path or name, options) end
  opts.check("load_pipeline", options, {}, 2)
  local model, process = load_model(path)
  if not model then return nil, process end
  return pipe.new { class = name, path = path, unet = model, process = process,
    files = { [name .. ".safetensors"] = path } }
end

return { load_pipeline = load_pipeline }
