-- Files of other libraries. Such a file has one network, which is recognised by its keys. The keys tell
-- sizes. Other facts are options of d.hub.load, and a sentence asks for those that are missing.
local adopted = require "diffusion.hub.adopted"
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local ldm = require "diffusion.hub.foreign.ldm"
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

-- The value of a call that returns nil and a message when it fails. The message becomes the file's fault.
local function need(path, value, message)
  if value ~= nil then return value end
  fault("%s%s", message:sub(1, #path) == path and "" or path .. ": ", message)
end

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
  local other = others.find(shapes)
  if other then fault("%s: %s", path, other) end
  for _, one in ipairs(kinds) do
    local list = one.find and one.find(shapes) or prefixes(shapes, one.mark)
    if #list > 0 then return one, one_prefix(path, list) end
  end
  fault("%s: its keys are those of no network that is known here", path)
end

-- ==== reading ============================================================================

local function taken(all, key) return all[key] end -- raises for an array that no tensor holds

local function parts_of(path, all, shapes, prefix)
  local inside, sizes = {}, {}
  for key, shape in pairs(shapes) do
    if key:sub(1, #prefix) == prefix then
      local own = key:sub(#prefix + 1)
      inside[own], sizes[own] = need(path, fail.try(taken, all, key)), shape
    end
  end
  return inside, sizes
end

-- The tensors next to the network, which have its prefix without the last part.
local function outer_of(all, facts, prefix)
  local stem = prefix:gsub("[^.]*%.$", "")
  return { facts = type(facts) == "table" and facts or {}, prefix = prefix,
    get = function(name) return (fail.try(taken, all, stem .. name)) end }
end

local function network_of(path, one, found, o)
  local list = need(path, fail.try(found.tensors))
  return need(path, adopted.network(one.known, one.entry, found.options, list, o))
end

local function tensors_of(path, o)
  local all, facts = tensors.load(path, { key = o.key, copy = o.copy, dtype = o.dtype })
  need(path, all, facts)
  if core.is_tensor(all) or all[1] then fault("%s: tensors without names, not the weights of a network", path) end
  return all, facts
end

local function read(path, o)
  local all, facts = tensors_of(path, o)
  all = taesd.whole(path, all, function(other) return (tensors_of(other, o)) end)
  local shapes = arrays.shapes(all)
  if ldm.find(shapes) and not others.find(shapes) then return ldm.parts(path, all, shapes, o) end
  local one, prefix = recognised(path, shapes)
  local inside, sizes = parts_of(path, all, shapes, prefix)
  local p = plan.new(path, inside, sizes, o, outer_of(all, facts, prefix))
  local found = one.read(p)
  local questions = p:questions(one.title)
  if questions then fault("%s", questions) end
  local process = found.process()
  p:check_used(one.title)
  local m = network_of(path, one, found, o)
  if found.kind then trained.learn(m, process, found.kind) end
  local role = one.role or "unet"
  return { class = one.title:gsub("^an? ", ""), path = path, [role] = m, process = process, adapt = found.adapt,
    classes = { [role] = one.name }, entry = one.entry }
end

--- The parts of a pipe from a file of another library.
---@param path string
---@param o table checked options of d.hub.load
---@return table|nil parts for pipe.new; nil with a message
---@return string|nil message
function foreign.load(path, o) return parser.run(read, path, o) end

return foreign
