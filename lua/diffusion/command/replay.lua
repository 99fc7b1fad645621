-- `diffusion replay`: draws a picture again from the settings in its PNG.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local images = require "diffusion.image"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local pipe = require "diffusion.hub.pipe"
local sample = require "diffusion.command.sample"
local settings = require "diffusion.command.settings"
local words = require "diffusion.command.words"

local replay = { name = "replay", places = 1, usage = "replay PICTURE [flags] [-o again.png]",
  text = "draws a picture of `diffusion sample` again, from the settings inside" }

replay.examples = { "replay cat.png", "replay cat.png --model models/stable-diffusion-v1-5 -o again.png" }

replay.flags = {
  { key = "model", name = "--model", kind = "file", value = "MODEL",
    text = "the model, in place of the one that the settings name" },
  { key = "init", name = "--init", kind = "file", value = "FILE", text = "the same for the picture it starts from" },
  { key = "tokenizer", name = "--tokenizer", kind = "file", value = "PATH", text = "the same for its tokenizer" },
  { key = "mask", name = "--mask", kind = "file", value = "FILE", text = "the same for the mask" },
  { key = "lora", name = "--lora", kind = "file", value = "FILE", text = "the same for its adapters" },
  { key = "output", name = "--output", short = "-o", kind = "file", value = "FILE",
    text = "the PNG to write, again.png if not given" },
}

-- Why a model isn't the one of the settings, or nil.
local function other_model(own, files, path)
  local sums, message = settings.sums(own.files or {})
  if not sums then return message end
  for _, label in ipairs(opts.names(files)) do
    if sums[label] ~= files[label] then
      return legible.said("%s: the picture was drawn with another model: %s has checksum %s there, %s here", path,
        label, files[label], sums[label] or "none")
    end
  end
end

-- Opens the model of the flag, whatever its files, or the one of the settings.
local function model_of(given, values, flags)
  local path = given or values.model.name
  local one, message = sample.open(path, flags)
  if not one then
    return nil, given and message or message .. "; --model PATH says where the model of this picture is"
  end
  local other = not given and other_model(pipe.parts(one), values.model.files, path)
  if other then return nil, other .. "; --model PATH takes another one all the same" end
  return one, path
end

-- The path of a picture, or of adapters, of the settings.
local function file_of(key, given, told)
  if given then return given end
  local sum, message = settings.sum(told.name)
  if not sum then return nil, ("%s; --%s FILE says where it is"):format(message, key) end
  if sum ~= told.sum then
    return legible.refused("%s: the picture was drawn from another file: checksum %s there, %s here; --%s FILE takes "
      .. "another one all the same", told.name, told.sum, sum, key)
  end
  return told.name
end

-- Leaves out flags for opening a model that is of another form than the given one: a file, or a folder.
local function drop_others(path, flags)
  if core.place(path) == "file" then flags.variant = nil
  else flags.tokenizer, flags.predict = nil, nil end
end

-- The flags of the settings. Image k of a seed is the same in any batch that has it.
local function flags_of(values, given)
  local flags = {}
  for key, value in pairs(values.flags) do flags[key] = value end
  for _, key in ipairs(sample.files) do
    if not flags[key] and given[key] then
      fail.raise("replay: --%s: the picture was drawn without one", key)
    end
    if flags[key] then
      local path, message = file_of(key, given[key], flags[key])
      if not path then return nil, message end
      flags[key] = path
    end
  end
  if given.model then drop_others(given.model, flags) end
  flags.tokenizer = given.tokenizer or flags.tokenizer
  if flags.tokenizer and core.place(flags.tokenizer) == "new" then
    return legible.refused("%s: no such file or folder; --tokenizer PATH says where it is", flags.tokenizer)
  end
  if values.image > 1 then flags.n = values.image end
  return flags
end

--- The command.
---@param list string[] its words
---@return string|nil text to print; nil with a message
---@return string|nil message
function replay.run(list)
  local given, places = words.read(replay, list)
  if given.help then return words.help(replay) end
  if not places[1] then fail.raise "replay: PICTURE is missing; `diffusion replay --help` shows how" end
  local output = given.output or "again.png"
  local wrong = sample.misplaced(output)
  if wrong then return nil, wrong end
  local info, message = images.info(places[1])
  local values = info
  if info then values, message = settings.read(info, places[1], sample.kinds) end
  if not values then return nil, message end
  local flags, one, name
  flags, message = flags_of(values, given)
  if not flags then return nil, message end
  sample.check_output(flags, output)
  one, name = model_of(given.model, values, flags)
  if not one then return nil, name end
  local x, told = sample.draw(one, name, flags)
  if not x then return nil, told end
  told.flags.n = values.flags.n
  x = x:narrow(1, values.image, 1)
  local paths
  paths, message = sample.write(output, x, told, values.image)
  if not paths then return nil, message end
  return sample.report(paths, x, told)
end

return replay
