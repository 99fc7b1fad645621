-- PyTorch's files (.pt, .pth, .bin, .ckpt). A file is a zip with one pickle and one entry for each
-- storage. Nothing in it is run. Older forms are refused with a sentence that names them.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local globals = require "diffusion.file.pytorch_globals"
local legible = require "diffusion.legible"
local parser = require "diffusion.file.parser"
local pickle = require "diffusion.file.pickle"
local plain = require "diffusion.file.pytorch_plain"
local signature = require "diffusion.file.signature"
local state = require "diffusion.file.pytorch_state"
local tensor = require "diffusion.file.pytorch_tensor"
local u64 = require "diffusion.file.u64"
local value = require "diffusion.file.pickle_value"
local zip = require "diffusion.file.zip"

local pytorch = {}

local fault, need = parser.fault "pytorch", parser.need

-- ==== the zip ==============================================================================

-- The entries by their names inside the one folder, and the names of all.
local function named_entries(file)
  local list, stem, named = need(zip.read(file)), nil, {}
  for _, e in ipairs(list) do
    stem = stem or e.name:match "^([^/]+)/data%.pkl$"
  end
  if not stem then fault("a zip file without a data.pkl, which all PyTorch files have") end
  for _, e in ipairs(list) do
    if e.name:sub(1, #stem + 1) == stem .. "/" then named[e.name:sub(#stem + 2)] = e end
  end
  return named
end

local function refuse_script(named)
  local script = named["constants.pkl"]
  for name in pairs(named) do script = script or name:find "^code/" end
  if script then
    fault("a TorchScript archive, which holds code; torch.save(torch.jit.load(path).state_dict(), new_path) "
      .. "in Python writes its tensors alone")
  end
end

-- An entry's bytes. Those of a stored entry aren't touched, so its checksum isn't verified.
local function open_entry(file, entry)
  if entry.method == 0 then return file:part(entry.from, entry.bytes) end
  return zip.open(file, entry)
end

local function entry_text(file, entry)
  local part = need(open_entry(file, entry))
  return need(part:text(0, entry.bytes))
end

local function is_big(file, named)
  local entry = named.byteorder
  if not entry then return false end
  local order = entry.bytes < 16 and entry_text(file, entry) or ""
  if order ~= "little" and order ~= "big" then fault("byteorder is neither little nor big") end
  return order == "big"
end

-- The meanings of the pickle's names and ids, for pickle.read.
local function world_of(file, named, options)
  local entries = {}
  for name, e in pairs(named) do
    local key = name:match "^data/(.+)$"
    if key then entries[key] = e end
  end
  return {
    globals = globals, persistent = tensor.storage, entries = entries, vectors = {}, options = options,
    big = is_big(file, named), size = file:size(),
    open = function(key) return open_entry(file, entries[key]) end,
  }
end

-- PyTorch doesn't deflate. A small file can't hold a large pickle in that way.
local MOST_PICKLE = 1 << 26

local function pickle_text(file, entry)
  if entry.bytes > math.max(MOST_PICKLE, file:size()) then
    fault("data.pkl would inflate to %s bytes, in a file of %s", u64.commas(entry.bytes), u64.commas(file:size()))
  end
  return entry_text(file, entry)
end

local function read(file, options)
  local named = named_entries(file)
  refuse_script(named)
  local world = world_of(file, named, options)
  return { root = need(pickle.read(pickle_text(file, named["data.pkl"]), world)), world = world }
end

--- Opens a file: {root = its value as pickle_value describes it, world = for pytorch_tensor.read}.
---@param path string
---@param options table {copy, dtype, f8} as for d.load
---@return table|nil content nil with a message
---@return string|nil message
function pytorch.open(path, options)
  local file, message = core.map(path, options.copy)
  if not file then return nil, message end
  local other = signature.mismatch(file, "a PyTorch file in zip form", { pt = true, zip = true })
  if other then return legible.refused("%s: %s", path, other) end
  local content
  content, message = parser.run(read, file, options)
  if not content then return legible.refused("%s: %s", path, message) end
  return content
end

-- A file that some other program packed again may begin with another entry.
local function holds_pickle(file)
  local head = file:text(0, math.min(file:size(), 4))
  if head ~= "PK\3\4" then return false end
  if not signature.mismatch(file, "", { pt = true }) then return true end
  for _, e in ipairs(zip.read(file) or {}) do
    if e.name:find "^[^/]+/data%.pkl$" then return true end
  end
  return false
end

--- Whether a file is a zip with a pickle of PyTorch's.
---@param path string
---@return boolean
function pytorch.is(path)
  local file = core.map(path)
  if not file then return false end
  local found = holds_pickle(file)
  file:close()
  return found
end

-- ==== tensors by name ======================================================================

local MOST_LISTED = 8

local function listed(choices)
  local texts = {}
  for k = 1, math.min(#choices, MOST_LISTED) do
    local count = state.unfold(choices[k].value).tensors
    texts[k] = ("'%s' (%d tensor%s)"):format(choices[k].key, count, count == 1 and "" or "s")
  end
  if #choices > MOST_LISTED then texts[#texts + 1] = ("and %d more"):format(#choices - MOST_LISTED) end
  return table.concat(texts, ", ")
end

-- The part of the file whose tensors are meant, if one alone may be.
local function meant(root)
  local choices, direct = state.choices(root)
  local whole = direct and #choices == 0 or value.kind(root) == "tensor" or state.is_module(root)
  if whole then return root end
  if value.kind(root) == "opaque" and #choices == 0 then
    fault("its value is of type %s, a Python class that isn't read", root.name)
  end
  if #choices == 0 then fault("no tensors by name; raw = true gives the file's value") end
  if #choices == 1 and not direct then return choices[1].value end
  fault("tensors are in %s; key = '%s' chooses, and key = '' takes all%s", listed(choices), choices[1].key,
    direct and ", with those next to them" or "")
end

local function chosen(root, key)
  if not key then return meant(root) end
  if key == "" then return root end
  local v = state.at(root, key)
  if v == nil then
    local keys = state.keys(root)
    fault("no key '%s'%s", key, #keys > 0 and "; keys are " .. table.concat(keys, ", ", 1, math.min(#keys, 20)) or "")
  end
  return v
end

local function read_one(item, world)
  local v = item.value
  if value.kind(v) ~= "tensor" then
    return arrays.unread(item.name, v.name or "torch.UntypedStorage", nil, "a Python class that isn't read")
  end
  local x, why = tensor.read(v, world)
  return x or arrays.unread(item.name, v.dtype.name, v.size, why)
end

local function read_alone(item, world)
  local x = read_one(item, world)
  if arrays.is_unread(x) then fault("%s", tostring(x)) end
  return x
end

-- Windows are made at once. Names of one description have one tensor.
local function read_named(list, world, path)
  local all, made = {}, {}
  for _, item in ipairs(list) do
    local v = item.value
    if value.kind(v) ~= "tensor" or tensor.unread(v) then all[item.name] = read_one(item, world)
    elseif tensor.is_window(v, world) then
      made[v] = made[v] or read_one(item, world)
      all[item.name] = made[v]
    else
      all[item.name] = arrays.later(item.name, v.dtype.name, v.size, function() return tensor.read(v, world) end)
    end
  end
  return arrays.named(path, all)
end

-- A tensor alone, a list of tensors, or tensors by name.
local function tensors_of(content, key, path)
  local v, world = chosen(content.root, key), content.world
  local list = state.unfold(v)
  if value.kind(v) == "tensor" then return read_alone(list[1], world) end
  if not state.is_list(v) then return read_named(list, world, path) end
  local all = {}
  for k, item in ipairs(list) do all[k] = read_alone(item, world) end
  return all
end

local function load(content, options, path)
  if options.raw then return plain.of(chosen(content.root, options.key or ""), content.world) end
  return tensors_of(content, options.key, path), state.facts(content.root)
end

--- Reads a file's tensors.
---@param path string
---@param options table|nil {copy, dtype, f8, key, raw} as for d.load
---@return any tensors by name; nil with a message
---@return table|string facts the file's own numbers, texts and booleans by name; or the message
function pytorch.load(path, options)
  options = options or {}
  local content, message = pytorch.open(path, options)
  if not content then return nil, message end
  local tensors, facts = parser.run(load, content, options, path)
  if tensors == nil then return legible.refused("%s: %s", path, facts) end
  return tensors, facts
end

return pytorch
