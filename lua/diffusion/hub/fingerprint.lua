-- Checksums of networks, pictures and texts. They tell whether a kept result is of the same ones.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local gradient = require "diffusion.gradient"
local model = require "diffusion.nn.model"
local object = require "diffusion.object"
local set = require "diffusion.data.set"

local fingerprint = {}

local private = object.private -- that of models: their adapters

local function joined(sum, number) return (sum * 0x01000193 ~ number) & 0xFFFFFFFFFFFF end

local function of_tensor(sum, x)
  return gradient.scope(function() return joined(sum, core.tensor_crc(x:detach():contiguous())) end)
end

-- A weight counts by its values in f32, whatever type it has.
local function of_weight(sum, x) return of_tensor(sum, x:dtype() == "f64" and x or x:to "f32") end

local function of_text(sum, text)
  for i = 1, #text do sum = joined(sum, text:byte(i)) end
  return sum
end

local function shown(sum) return ("%012x"):format(sum) end

local PLAIN = { number = true, string = true, boolean = true }

-- Values of a config: equal tables have equal sums. How often blocks are computed changes no result.
local function of_value(sum, value)
  local is = type(value)
  if is ~= "table" then
    return of_text(sum, is == "number" and ("%.17g"):format(value) or PLAIN[is] and tostring(value) or is)
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local one = value[key]
    if one == nil then one = value[math.tointeger(tonumber(key))] end
    if key ~= "recompute" then sum = of_value(of_text(sum, key .. "="), one) end
  end
  return of_text(sum, ";")
end

-- A network with its config, its adapters and the tokens that were added.
local function of_network(net)
  if not model.is_model(net) then return nil end
  local sum = of_value(0, net:config())
  for name, p in net:parameters() do sum = of_weight(of_text(sum, name), p) end
  for _, rows in ipairs(net:config().kind == "cliptext" and net.added or {}) do sum = of_weight(sum, rows) end
  for _, lora in ipairs(private[net].loras or {}) do
    sum = of_text(sum, ("%s %.9g"):format(tostring(lora), lora.scale))
    for _, p in lora:parameters() do sum = of_weight(sum, p) end
  end
  return shown(sum)
end

-- Pictures with what is kept of each: its class, its size before and the corner of its crop.
local function of_pictures(given)
  local sum = of_value(given.n, { given.sizes or "none", given.names or "none" })
  if given.class then sum = of_tensor(sum, given.class) end
  for _, bucket in ipairs(set.parts(given)) do
    sum = of_value(sum, { bucket.n, bucket.height, bucket.width, bucket.members or "all" })
    for i = 1, bucket.n do
      local x, crops = bucket.source(core.arange(i, i):to "i64", {})
      sum = of_value(of_tensor(sum, x), crops or "whole")
    end
  end
  return shown(sum)
end

-- Captions, and the ids that tokenizers of a pipe give to them and to no text.
local function of_captions(own, list)
  local sum = 0
  for _, caption in ipairs(list) do sum = joined(of_text(sum, caption), -1) end
  for _, ending in ipairs { "", "2" } do
    local tokenizer = own["tokenizer" .. ending]
    if tokenizer then sum = of_value(sum, { tokenizer.bos, tokenizer.eos, tokenizer.pad, tokenizer.length }) end
    for i = 0, tokenizer and #list or -1 do
      for _, id in ipairs(fail.call(tokenizer.encode, tokenizer, list[i] or "")) do sum = joined(sum, id) end
      sum = joined(sum, -1)
    end
  end
  return shown(sum)
end

--- Checksums of the parts of a pipe and of a set. Those of parts that aren't there are absent.
---@param own table the private state of a pipe
---@param given diffusion.set|nil
---@param o table {dtype, clip_skip, tile, texts}
---@return table<string, string>
function fingerprint.of(own, given, o)
  local out = {}
  for _, field in ipairs { "vae", "text", "text2" } do
    out[field] = own[field] and (o.texts or field == "vae") and of_network(own[field]) or nil
  end
  if given then
    out.pictures = of_pictures(given)
    out.captions = given.captions and of_captions(own, given.captions) or "none"
    local tile = type(o.tile) == "table" and ("%s %s"):format(o.tile.size, o.tile.overlap) or tostring(o.tile)
    out.how = ("%s, %s, tile %s%s"):format(o.dtype, o.texts and "clip_skip " .. o.clip_skip or "no states", tile,
      o.texts and own.zeros and ", no text is zeros" or "")
  end
  return out
end

return fingerprint
