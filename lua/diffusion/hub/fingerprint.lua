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

-- A network with its adapters and the tokens that were added.
local function of_network(net)
  if not model.is_model(net) then return nil end
  local sum = 0
  for name, p in net:parameters() do sum = of_weight(of_text(sum, name), p) end
  for _, rows in ipairs(net:config().kind == "cliptext" and net.added or {}) do sum = of_weight(sum, rows) end
  for _, lora in ipairs(private[net].loras or {}) do
    sum = of_text(sum, ("%s %.9g"):format(tostring(lora), lora.scale))
    for _, p in lora:parameters() do sum = of_weight(sum, p) end
  end
  return shown(sum)
end

local function of_pictures(given, size)
  local sum = given.n
  for _, bucket in ipairs(set.parts(given)) do
    sum = joined(joined(joined(sum, bucket.n), bucket.height), bucket.width)
    for first = 1, bucket.n, size do
      local last = math.min(first + size - 1, bucket.n)
      sum = of_tensor(sum, (bucket.source(core.arange(first, last):to "i64", {})))
    end
  end
  return shown(sum)
end

-- The ids of captions, by the tokenizers of a pipe.
local function of_captions(own, list)
  local sum = 0
  for _, ending in ipairs { "", "2" } do
    local tokenizer = own["tokenizer" .. ending]
    for _, caption in ipairs(tokenizer and list or {}) do
      for _, id in ipairs(fail.call(tokenizer.encode, tokenizer, caption)) do sum = joined(sum, id) end
      sum = joined(sum, -1)
    end
  end
  return shown(sum)
end

--- Checksums of the parts of a pipe and of a set. Those of parts that aren't there are absent.
---@param own table the private state of a pipe
---@param given diffusion.set|nil
---@param o table {size, dtype, clip_skip, tile, texts}
---@return table<string, string>
function fingerprint.of(own, given, o)
  local out = {}
  for _, field in ipairs { "vae", "text", "text2" } do
    out[field] = own[field] and (o.texts or field == "vae") and of_network(own[field]) or nil
  end
  if given then
    out.pictures = of_pictures(given, o.size)
    out.captions = given.captions and of_captions(own, given.captions) or "none"
    local tile = type(o.tile) == "table" and ("%s %s"):format(o.tile.size, o.tile.overlap) or tostring(o.tile)
    out.how = ("%s, %s, tile %s"):format(o.dtype, o.texts and "clip_skip " .. o.clip_skip or "no states", tile)
  end
  return out
end

return fingerprint
