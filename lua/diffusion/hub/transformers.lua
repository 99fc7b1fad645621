-- Descriptions as transformers writes them. Its config.json has a list `architectures` where diffusers
-- has a class. A config of several networks has that of the text encoder below text_config.
local opts = require "diffusion.opts"

local transformers = {}

local VERSION = "5.24.0" -- the version whose form is written

--- The class that a config names, nil if it names none.
---@param given table<string, any>
---@return string|nil
function transformers.class(given)
  local list = given.architectures
  local class = type(list) == "table" and list[1]
  return type(class) == "string" and class or nil
end

--- The keys of a config that a family reads. Configs there have many that no class reads, so that
--- others are passed over, as there. The projections of CLIP's two encoders have one width, which isn't that
--- below text_config.
---@param known table the family
---@param given table<string, any>
---@return table<string, any>
function transformers.keys(known, given)
  local out = {}
  for _, list in ipairs { given, type(given.text_config) == "table" and given.text_config or {} } do
    for key, value in pairs(list) do if known.options[key] then out[key] = value end end
  end
  if known.options.projection_dim then out.projection_dim = given.projection_dim or out.projection_dim end
  return out
end

local DTYPES = { f16 = "float16", bf16 = "bfloat16", f32 = "float32", f64 = "float64" }

--- A config as transformers writes it.
---@param class string
---@param values table<string, any> its options
---@param tensors table<string, diffusion.tensor> the weights
---@return table<string, any>
function transformers.config(class, values, tensors)
  local _, first = next(tensors)
  return opts.joined(values, { architectures = { class }, model_type = "clip_text_model",
    dtype = DTYPES[first:dtype()], transformers_version = VERSION })
end

return transformers
