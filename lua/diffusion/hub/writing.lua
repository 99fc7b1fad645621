-- Writing a folder of a model so that it is never half of one. All weights are written aside first.
-- Then the descriptions, which make a folder one of a model, are removed. The weights take their places,
-- and the new descriptions are written, the index last. An interrupted save leaves the old folder, or one
-- without its description, which no program opens.
local config = require "diffusion.hub.config"
local core = require "diffusion.core"
local folder = require "diffusion.hub.folder"
local parser = require "diffusion.file.parser"
local shards = require "diffusion.file.shards"
local weights = require "diffusion.hub.weights"

local writing = {}

local fault, need = parser.fault(), parser.need
local INDEX = "model_index.json"

-- The folder for files that are written aside. Its name begins with a dot, so other programs skip it.
local function aside(path) return path .. "/.saving" end

local function clear(path)
  local left = folder.list(path)
  for name in pairs(left and left.files or {}) do os.remove(folder.join(left, name)) end
  os.remove(path)
end

local function place_of(dir, part) return part.folder and dir .. "/" .. part.folder or dir end

-- The descriptions of a part by the names of their files.
local function texts_of(part) return part.texts or { [part.file] = config.text(part.config) } end

-- Writes a part's weights aside.
local function stage(dir, part, o)
  local path = place_of(dir, part)
  need(core.make_folder(path))
  if not part.tensors then return end
  clear(aside(path))
  need(core.make_folder(aside(path)))
  need(shards.save(aside(path) .. "/" .. part.stem, part.tensors,
    { metadata = { format = "pt" }, max_shard_size = o.max_shard_size, variant = o.variant }))
end

-- Puts a part's weights in the place of older ones of the same variant, and writes its description.
local function finish(dir, part, texts, o)
  local path = place_of(dir, part)
  if part.tensors then
    for _, name in ipairs(weights.files(need(folder.list(path)), part.stem, o.variant or "")) do
      os.remove(path .. "/" .. name)
    end
    local ready = need(folder.list(aside(path)))
    for name in pairs(ready.files) do need(os.rename(folder.join(ready, name), path .. "/" .. name)) end
    clear(aside(path))
  end
  for name, text in pairs(texts) do need(core.write_file(path .. "/" .. name, { text })) end
end

local function write(dir, parts, index, o)
  local top, texts = dir .. "/" .. INDEX, {}
  for i, part in ipairs(parts) do texts[i] = texts_of(part) end -- raises before a file is touched
  if not index and core.place(top) == "file" then
    fault("%s: this is the folder of a pipeline; a network alone goes into a folder of its own", top)
  end
  for _, part in ipairs(parts) do stage(dir, part, o) end
  if index then os.remove(top) end
  for i, part in ipairs(parts) do
    for name in pairs(texts[i]) do os.remove(place_of(dir, part) .. "/" .. name) end
  end
  for i, part in ipairs(parts) do finish(dir, part, texts[i], o) end
  if index then need(core.write_file(top, { config.text(index) })) end
  return true
end

--- Writes a folder.
---@param dir string
---@param parts table[] list of {folder = name or nil for dir itself, file = of the description, config =,
---  tensors = by name or nil, stem = name of the file of weights, texts = other descriptions by file}
---@param index table|nil model_index.json
---@param o table {variant =, max_shard_size =}
---@return true|nil done nil with a message; then the old folder is as it was, or has no description
---@return string|nil message
function writing.folder(dir, parts, index, o)
  local done, message = parser.run(write, dir, parts, index, o)
  if not done then
    for _, part in ipairs(parts) do clear(aside(place_of(dir, part))) end
  end
  return done, message
end

return writing
