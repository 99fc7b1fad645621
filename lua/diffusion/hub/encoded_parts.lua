-- Parts of a set that is being encoded. Each is written to a file as soon as it is made, so memory holds few of them.
-- A run that was interrupted goes on after the last one. The folder of parts is "PATH.parts".
local container = require "diffusion.file.container"
local core = require "diffusion.core"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"

local encoded_parts = {}

local KIND = "part of an encoded set"
local NAME = "^%l+%-[%d-]+%.safetensors" -- a file that is being written has an ending after it

local need = parser.need

-- Whether a part was made of the same networks, pictures and captions.
local function is_same(a, b)
  for _, sums in ipairs { { a, b }, { b, a } } do
    for key, sum in pairs(sums[1]) do
      if sums[2][key] ~= sum then return false end
    end
  end
  return true
end

-- A part that is there already, or nil.
local function found(path, sums)
  if core.place(path) ~= "file" then return nil end
  local tensors, facts = container.read(path, KIND)
  if tensors and type(facts.sums) == "table" and is_same(facts.sums, sums) then return tensors, facts end
end

-- Makes the folder of parts, if the file of the set can be written. The folder in which both lie must be there.
local function prepare(path, folder)
  need(core.place(path))
  local above = path:match "^(.*)/[^/]*$"
  local names, why = core.list(above == "" and "/" or above or ".")
  if not names then parser.fault() ("%s: can't be written: %s", path, why) end
  need(core.make_folder(folder))
end

-- Parts that are kept in memory.
local function held(_, make, ...) return make(...) end

--- The function that makes parts: (name, make, ...) -> tensors by name, facts. It calls make(...) for what isn't there,
--- which returns the same. A fault of a file is raised as a parser's.
---@param path string|nil the file of the set; nil keeps the parts in memory
---@param sums table<string, string> from fingerprint.of
---@return function
function encoded_parts.keeper(path, sums)
  if not path then return held end
  local folder = path .. ".parts"
  prepare(path, folder)
  return function(name, make, ...)
    local file = ("%s/%s.safetensors"):format(folder, name)
    local tensors, facts = found(file, sums)
    if tensors then return tensors, facts end
    tensors, facts = make(...)
    need(container.write(file, KIND, tensors, opts.joined(facts, { sums = sums })))
    return need(container.read(file, KIND)), facts
  end
end

--- Removes the parts of a set that has been written.
---@param path string|nil
function encoded_parts.clear(path)
  local folder = path and path .. ".parts"
  for _, name in ipairs(path and core.list(folder) or {}) do
    if name:find(NAME) then os.remove(folder .. "/" .. name) end
  end
  if path then os.remove(folder) end
end

return encoded_parts
