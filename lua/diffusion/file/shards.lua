-- Tensors split over several safetensors files, with an index: NAME.safetensors.index.json has
-- {"metadata": {"total_size": bytes}, "weight_map": {tensor: file}}. Files lie next to the index.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local safetensors = require "diffusion.file.safetensors"
local signature = require "diffusion.file.signature"
local u64 = require "diffusion.file.u64"

local shards = {}

local MOST = 100000000 -- bytes of an index, as of a safetensors header

local fault, need = parser.fault(), parser.need

-- ==== the index ================================================================================

local function read_text(path, wanted)
  local file = need(core.map(path))
  if file:size() > MOST then fault("%s: %s bytes, too many for an index of shards", path, u64.commas(file:size())) end
  local other = signature.mismatch(file, wanted, { json = true })
  if other then fault("%s: %s", path, other) end
  return file:text(0, file:size())
end

-- A shard lies in the index's own folder, so its name has no slash.
local function check_shard(path, name, shard)
  if type(shard) ~= "string" then fault("%s: tensor %q has no file's name", path, name) end
  if shard == "" or shard == "." or shard == ".." or shard:find "[/\\%z]" then
    fault("%s: shard %q isn't the name of a file in the index's own folder", path, shard)
  end
end

local function read_index(path, wanted)
  local index, message = json.decode(read_text(path, wanted))
  if index == nil then fault("%s: %s", path, message) end
  local map = type(index) == "table" and index.weight_map
  if type(map) ~= "table" then fault("%s: JSON, but no index of shards: it has no weight_map", path) end
  for name, shard in pairs(map) do
    if type(name) ~= "string" then fault("%s: its weight_map isn't a table by names", path) end
    check_shard(path, name, shard)
  end
  local total = type(index.metadata) == "table" and index.metadata.total_size
  return map, type(total) == "number" and total or nil
end

-- The names of the shards in order.
local function shards_of(map)
  local seen, list = {}, {}
  for _, shard in pairs(map) do
    if not seen[shard] then list[#list + 1] = shard end
    seen[shard] = true
  end
  table.sort(list)
  return list
end

-- ==== reading ==================================================================================

local function check_present(path, folder, list)
  local missing = {}
  for _, shard in ipairs(list) do
    if core.place(folder .. shard) == "new" then missing[#missing + 1] = shard end
  end
  if #missing == 0 then return end
  fault("%s: %d of its %d shards %s missing: %s%s", path, #missing, #list, #missing == 1 and "is" or "are",
    missing[1], #missing > 1 and " and others" or "")
end

local function open_all(path, o, wanted, list)
  local folder, out = path:match "^.*/" or "", {}
  for _, shard in ipairs(list) do
    local all, metadata, tensors = safetensors.open(folder .. shard, o, wanted)
    if not all then fault("%s", metadata) end
    out[shard] = { all = all, metadata = metadata, bytes = {}, total = 0 }
    for _, t in ipairs(tensors) do
      out[shard].bytes[t.name] = t.bytes
      out[shard].total = out[shard].total + t.bytes
    end
  end
  return out
end

-- The index's tensors, and their bytes.
local function gather(path, map, open)
  local all, bytes = {}, 0
  local names = opts.names(map)
  for _, name in ipairs(names) do
    local shard = open[map[name]]
    if not shard.all[name] then
      fault("%s: tensor %q should be in %s, which doesn't have it", path, name, map[name])
    end
    all[name], bytes = shard.all[name], bytes + shard.bytes[name]
  end
  return all, bytes
end

-- Some writers count all tensors of the shards, not only those of the map.
local function check_total(path, total, bytes, open)
  local whole = 0
  for _, shard in pairs(open) do whole = whole + shard.total end
  if not total or total == bytes or total == whole then return end
  fault("%s: its total_size is %s, but its tensors take %s bytes; is it the index of other shards? total_size = false "
    .. "skips this check", path, legible.text(total), u64.commas(bytes))
end

local function metadata_of(list, open)
  local metadata = {}
  for i = #list, 1, -1 do
    for key, value in pairs(open[list[i]].metadata) do metadata[key] = value end
  end
  return metadata
end

local function indexed(path, wanted)
  local map, total = read_index(path, wanted)
  check_present(path, path:match "^.*/" or "", shards_of(map))
  return map, total
end

--- The files that an index lists, by tensor, all of which are there.
---@param path string the index
---@param wanted string "the weights", for messages
---@return table<string, string>|nil map nil with a message
---@return string|nil message
function shards.index(path, wanted) return parser.run(indexed, path, wanted) end

local function read(path, o, wanted)
  local map, total = indexed(path, wanted)
  local list = shards_of(map)
  local open = open_all(path, o, wanted, list)
  local all, bytes = gather(path, map, open)
  if o.total_size then check_total(path, total, bytes, open) end
  return arrays.named(path, all), metadata_of(list, open)
end

--- Reads the tensors that an index lists, from all its shards. Each shard is checked as a file of its own.
---@param path string the index, model.safetensors.index.json
---@param options table|nil those of d.load
---@param wanted string|nil "a model", for messages
---@return table<string, diffusion.tensor>|nil tensors as of safetensors.load; nil with a message
---@return table<string, string>|string metadata of the shards; the first one's where they differ; or the message
function shards.load(path, options, wanted)
  local o = opts.check("load", options, safetensors.rules, 2)
  return parser.run(read, opts.path("load", path), o, wanted or "a safetensors file")
end

-- ==== writing ==================================================================================

local WIDTH = { f32 = 4, f64 = 8, f16 = 2, bf16 = 2, u8 = 1, i64 = 8 }

-- Fills shards in the order of the names, as the peers do. A tensor above `most` has a shard of its own.
local function split(tensors, names, most)
  local list, shard, size, total = {}, {}, 0, 0
  for _, name in ipairs(names) do
    local bytes = tensors[name]:numel() * WIDTH[tensors[name]:dtype()]
    total = total + bytes
    if bytes > most then list[#list + 1] = { name }
    else
      if size + bytes > most then
        list[#list + 1] = shard
        shard, size = {}, 0
      end
      shard[#shard + 1] = name
      size = size + bytes
    end
  end
  if #shard > 0 or #list == 0 then list[#list + 1] = shard end
  return list, total
end

local function only(tensors, names)
  local out = {}
  for _, name in ipairs(names) do out[name] = tensors[name] end
  return out
end

-- Removes files of earlier saves: other numbers of shards, the whole file and the index, but not those of `kept`.
local function remove_others(stem, kept)
  local folder, base = stem:match "^(.*/)" or "", stem:match "[^/]*$"
  for _, name in ipairs(core.list(folder == "" and "." or folder) or {}) do
    local ending = name:sub(1, #base) == base and name:sub(#base + 1) or ""
    local ours = ending:find "^%-%d%d%d%d%d%-of%-%d%d%d%d%d%.safetensors$" or ending == ".safetensors"
    if ours and not kept[folder .. name] then os.remove(folder .. name) end
  end
end

local function index_text(map, total)
  return json.encode({ metadata = { total_size = total }, weight_map = map }, true) .. "\n"
end

local function write_shards(stem, tensors, list, metadata)
  local map, kept = {}, {}
  for i, names in ipairs(list) do
    local path = #list == 1 and stem .. ".safetensors" or ("%s-%05d-of-%05d.safetensors"):format(stem, i, #list)
    need(safetensors.save(path, only(tensors, names), metadata))
    kept[path] = true
    for _, name in ipairs(names) do map[name] = path:match "[^/]*$" end
  end
  return map, kept
end

local save_rules = {
  metadata = { "table", default_text = "none", text = "strings by name, saved in each file" },
  max_shard_size = { "integer", min = 1, default = 10000000000, text = "bytes of tensors in a file at most" },
  names = { "table", default_text = "sorted", text = "list of all names, in the order in which they fill shards" },
  variant = { "string", default_text = "none", text = "part of the files' names: fp16, non_ema" },
}

local function write(stem, tensors, o)
  local whole = stem .. (o.variant and "." .. o.variant or "")
  local index = ("%s.safetensors.index%s.json"):format(stem, o.variant and "." .. o.variant or "")
  safetensors.check(tensors)
  local list, total = split(tensors, o.names or opts.names(tensors), o.max_shard_size)
  local map, kept = write_shards(whole, tensors, list, o.metadata)
  if #list > 1 then need(core.write_file(index, { index_text(map, total) })) else os.remove(index) end
  remove_others(whole, kept)
  return true
end

--- Writes tensors as STEM.safetensors or, if they take more than max_shard_size, as shards
--- STEM-00001-of-00002.safetensors and an index. Files of an earlier save under the same stem are removed.
---@param stem string "folder/diffusion_pytorch_model"
---@param tensors table<string, diffusion.tensor>
---@param options table|nil metadata, max_shard_size, names, variant
---@return true|nil done nil with a message if a file can't be written
---@return string|nil message
function shards.save(stem, tensors, options)
  local o = opts.check("save", options, save_rules, 3)
  return parser.run(write, opts.path("save", stem), tensors, o)
end

return shards
