-- A set of pictures with captions, encoded once: what the autoencoder says of each picture, and the states of its
-- text. They may be kept in a file, which is mapped when read and refused for other networks or pictures.
local container = require "diffusion.file.container"
local core = require "diffusion.core"
local encoded_parts = require "diffusion.hub.encoded_parts"
local fail = require "diffusion.fail"
local fingerprint = require "diffusion.hub.fingerprint"
local gradient = require "diffusion.gradient"
local kind = require "diffusion.kind"
local latents = require "diffusion.hub.latents"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local set = require "diffusion.data.set"
local text = require "diffusion.hub.text"

local encoded_set = {}

local WHERE = "pipe:encode_set"
local KIND = "encoded set"

-- ==== encoding ==========================================================================

-- The latents of some pictures of a bucket, as {mean, std}, and the corners of their crops.
local function moments(own, bucket, o, first, last)
  local corners
  local mean, std = gradient.scope(function()
    local x0, crops = bucket.source(core.arange(first, last):to "i64", {})
    corners = crops
    local mean, std = latents.moments(own, x0, o.tile)
    return latents.scaled(own, mean):to(o.dtype), std and latents.spread(own, std):to(o.dtype)
  end)
  return { mean = mean, std = std }, { crops = corners }
end

-- Adds tensors to lists of those before, whose rows they follow.
local function follow(lists, tensors, ending)
  for name, x in pairs(tensors) do
    name = name .. ending
    lists[name] = lists[name] or {}
    table.insert(lists[name], x)
  end
end

-- Adds a bucket's latents, and gives the corners of its crops. `part` is of encoded_parts.
local function add_bucket(lists, k, own, bucket, o, part)
  local crops = {}
  for first = 1, bucket.n, o.size do
    local last = math.min(first + o.size - 1, bucket.n)
    local tensors, facts = part(("pictures-%d-%d-%d"):format(k, first, last), moments, own, bucket, o, first, last)
    follow(lists, tensors, "." .. k)
    table.move(facts.crops or {}, 1, last - first + 1, #crops + 1, crops)
  end
  return #crops > 0 and crops or nil
end

-- The different texts of a list, and the number of each one's place among them.
local function distinct(list)
  local texts, place, numbers = {}, {}, {}
  for i, one in ipairs(list) do
    if not place[one] then
      texts[#texts + 1] = one
      place[one] = #texts
    end
    numbers[i] = place[one]
  end
  return texts, numbers
end

-- The states of some texts by name.
local function states(own, texts, o)
  local names
  local values = { gradient.scope(function()
    local given, out = text.states(WHERE, own, texts, o.clip_skip), {}
    names = opts.names(given)
    for i, name in ipairs(names) do out[i] = given[name]:to(o.dtype) end
    return table.unpack(out)
  end) }
  local out = {}
  for i, name in ipairs(names) do out["text." .. name] = values[i] end
  return out, {}
end

-- Adds the states of no text, as the pipe takes it.
local function add_none(lists, own, o)
  for name, x in pairs((states(own, { "" }, o))) do
    lists[name:gsub("^text", "none")] = { own.zeros and core.zeros(x:shape(), { dtype = x:dtype() }) or x }
  end
end

local function add_texts(lists, facts, own, captions, o, part)
  local texts, numbers = distinct(captions)
  lists.caption = { core.tensor(numbers, { dtype = "i64" }) }
  for first = 1, #texts, o.size do
    local last = math.min(first + o.size - 1, #texts)
    local some = table.move(texts, first, last, 1, {})
    follow(lists, (part(("texts-%d-%d"):format(first, last), states, own, some, o)), "")
  end
  add_none(lists, own, o)
  facts.texts = texts
end

-- The tensors of a set, as lists whose rows follow one another, and its facts.
local function encoded(own, given, o, part)
  local lists = { class = given.class and { given.class } }
  local facts = { name = given.name, n = given.n, names = given.names, classes = given.classes,
    buckets = {}, sizes = given.sizes }
  for k, bucket in ipairs(set.parts(given)) do
    facts.buckets[k] = { n = bucket.n, height = bucket.height, width = bucket.width, members = bucket.members,
      crops = add_bucket(lists, k, own, bucket, o, part) }
  end
  facts.captions = not o.texts and given.captions or nil
  if given.captions and o.texts then add_texts(lists, facts, own, given.captions, o, part) end
  return lists, facts
end

local function joined(lists)
  local out = {}
  for name, list in pairs(lists) do out[name] = core.ops.cat(list, 1) end
  return out
end

-- ==== as a set ==========================================================================

local function rows(x, index) return x:index(1, index):to(core.real) end

-- Latents drawn of what the autoencoder said: new ones at each step.
local function source_of(mean, std, crops)
  return function(index, how)
    local x0, corners = rows(mean, index), crops and {}
    if std then
      x0 = x0 + rows(std, index) * core.mix_noise(1, how.seed, core.streams.step, how.step, 0, core.zeros(x0:shape()))
    end
    for b, i in ipairs(crops and index:totable() or {}) do corners[b] = crops[i] end
    return x0, corners
  end
end

-- The function that gives the states of examples.
local function states_of(tensors)
  if not tensors.caption then return function() end end
  return function(examples)
    local index, given, without = tensors.caption:index(1, core.tensor(examples, { dtype = "i64" })), {}, {}
    for name, x in pairs(tensors) do
      local own = name:match "^text%.(.*)$"
      if own then given[own], without[own] = rows(x, index), tensors["none." .. own]:to(core.real) end
    end
    return given, without
  end
end

local function as_set(tensors, facts)
  local buckets, captions = {}, facts.captions
  for k, one in ipairs(facts.buckets) do
    buckets[k] = { n = one.n, height = one.height, width = one.width, members = one.members,
      source = source_of(tensors["mean." .. k], tensors["std." .. k], one.crops) }
  end
  if tensors.caption then
    captions = {}
    for i, number in ipairs(tensors.caption:totable()) do captions[i] = facts.texts[number] end
  end
  return set.of({ n = facts.n, name = facts.name, names = facts.names, classes = facts.classes, class = tensors.class,
    sizes = facts.sizes, captions = captions }, buckets, states_of(tensors))
end

-- ==== files =============================================================================

local WHAT = { vae = "autoencoder", text = "text encoder", text2 = "second text encoder", pictures = "pictures",
  captions = "captions", how = "options" }

-- Names the part of which a file was made otherwise, or nil. Text encoders don't matter without states of texts.
local function difference(saved, own, has_states)
  for _, key in ipairs { "how", "vae", "text", "text2", "pictures", "captions" } do
    local matters = own[key] ~= nil and (has_states or not key:find "^text")
    if matters and own[key] ~= saved[key] then return WHAT[key] end
  end
end

local function is_count(n) return math.type(n) == "integer" and n >= 0 end

local function is_bucket(tensors, facts, k, one)
  local mean, std = tensors["mean." .. k], tensors["std." .. k]
  if type(one) ~= "table" or not (is_count(one.n) and core.is_tensor(mean)) or mean:dim() ~= 4 then return false end
  if mean:size(1) ~= one.n or std and not (core.is_tensor(std) and kind.shape_text(std) == kind.shape_text(mean)) then
    return false
  end
  for _, list in ipairs { one.members or {}, one.crops or {} } do
    if type(list) ~= "table" or #list ~= 0 and #list ~= one.n then return false end
  end
  for _, i in ipairs(one.members or {}) do
    if not is_count(i) or i < 1 or i > facts.n then return false end
  end
  return one.members ~= nil or one.n == facts.n
end

-- Whether the captions that a file holds as texts are as many as its pictures.
local function are_captions(facts)
  if facts.captions == nil then return true end
  if type(facts.captions) ~= "table" or #facts.captions ~= facts.n then return false end
  for _, one in ipairs(facts.captions) do
    if type(one) ~= "string" then return false end
  end
  return true
end

local function are_texts(tensors, facts)
  local index = tensors.caption
  if index == nil then return true end
  if type(facts.texts) ~= "table" or index:dtype() ~= "i64" or index:dim() ~= 1 or index:size(1) ~= facts.n then
    return false
  end
  if facts.n > 0 and (index:min():item() < 1 or index:max():item() > #facts.texts) then return false end
  for name, x in pairs(tensors) do
    local own = name:match "^text%.(.*)$"
    if own and (x:size(1) ~= #facts.texts or not tensors["none." .. own]) then return false end
  end
  return true
end

-- Whether a file holds what a set is made of.
local function is_sound(tensors, facts)
  if not is_count(facts.n) or type(facts.buckets) ~= "table" or type(facts.sums) ~= "table" then return false end
  local n = 0
  for k, one in ipairs(facts.buckets) do
    if not is_bucket(tensors, facts, k, one) then return false end
    n = n + one.n
  end
  if tensors.class and tensors.class:numel() ~= facts.n then return false end
  return n == facts.n and type(facts.name) == "string" and are_captions(facts) and are_texts(tensors, facts)
end

local function read(path, sums)
  local tensors, facts = container.read(path, KIND)
  if not tensors then return nil, facts end
  if not is_sound(tensors, facts) then
    return legible.refused("%s: its tensors don't make a set; it is damaged", path)
  end
  local other = difference(facts.sums, sums, tensors.caption ~= nil)
  if other then
    return legible.refused("%s: it was made with other %s; name another path, or remove the file", path, other)
  end
  return as_set(tensors, facts)
end

-- ==== the call ==========================================================================

local rules = opts.declare("pipe_encode_set", {
  path = { "path", default_text = "none", text = "the file that keeps them; if it is there, it is read" },
  size = { "integer", min = 1, default = 4, text = "pictures or texts that are encoded at once" },
  dtype = { one_of = { "f32", "f16", "bf16" }, default = "f32", text = "type in which they are kept" },
  clip_skip = { "integer", min = 0, default = 0, text = "last layers of the text encoder that are left out" },
  tile = { "boolean|table", default = false, as = "boolean|table", text = "the autoencoder works in tiles" },
  texts = { "boolean", default = true,
    text = "false keeps captions as texts, to be encoded at each step, as when the text encoder is trained" },
})

local function check(own, given, o)
  if kind.of(given) ~= "set" then
    fail.raise("bad argument #1 to '%s' (a set of pictures expected, got %s)", WHERE, kind.shown(given))
  end
  local parts = set.parts(given)
  if given.n == 0 or not (parts[1] and parts[1].height) or given.eps or set.is_encoded(given) then
    fail.raise("%s: a set of pictures expected, this one is %s", WHERE, given)
  end
  for _, bucket in ipairs(parts) do
    if bucket.random then fail.raise("%s: random crops differ each time, so their latents can't be kept", WHERE) end
  end
  if not own.vae then fail.raise("%s: the pipe has no autoencoder", WHERE) end
  local reads = own.text or own.text2
  if given.captions and o.texts and not reads then fail.raise("%s: the pipe has no text encoder", WHERE) end
end

-- Encodes a set, and reads it back from its file if it is kept.
local function made(own, given, o, sums)
  local lists, facts = encoded(own, given, o, encoded_parts.keeper(o.path, sums))
  if not o.path then return as_set(joined(lists), facts) end
  facts.sums = sums
  parser.need(container.write_parts(o.path, KIND, lists, facts))
  encoded_parts.clear(o.path)
  return read(o.path, sums)
end

--- A set of latents and states of texts.
---@param own table the private state of a pipe
---@param given diffusion.set|nil nil reads the file
---@param options table|nil
---@return diffusion.set|nil
---@return string|nil message
function encoded_set.of(own, given, options)
  local o = opts.check(WHERE, options, rules, 2)
  if given == nil and not o.path then fail.raise("%s: a set, or the path of a file, is needed", WHERE) end
  if given ~= nil then check(own, given, o) end
  local sums = fingerprint.of(own, given, o)
  if o.path and (given == nil or core.place(o.path) == "file") then
    local one, message = read(o.path, sums)
    if one and given ~= nil then encoded_parts.clear(o.path) end -- a run may have been stopped before it did
    return one, message
  end
  return parser.run(gradient.no_grad, made, own, given, o, sums)
end

return encoded_set
