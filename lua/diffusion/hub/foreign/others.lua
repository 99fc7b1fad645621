-- Files of networks that aren't followed here, by a key that only they have: a Lua pattern, and what the
-- file is.
local others = {}

local marks = {
  { "^control_model%.", "a ControlNet" },
  { "input_hint_block%.", "a ControlNet" },
  { "controlnet_cond_embedding%.", "a ControlNet" },
  { "^ip_adapter%.", "an IP-Adapter" },
  { "^image_proj%.", "an IP-Adapter" },
  { "lora_down%.weight$", "low-rank adapters, which d.nn.lora(model):load(path) reads" },
  { "lora_A%.weight$", "low-rank adapters, which d.nn.lora(model):load(path) reads" },
  { "double_blocks%.%d+%.", "a Flux transformer" },
  { "joint_blocks%.%d+%.", "a transformer of Stable Diffusion 3" },
  { "^text_model%.", "a CLIP text encoder" },
  { "^vision_model%.", "a CLIP image encoder" },
  { "^encoder%.down_blocks%.%d+%.", "a network of diffusers; open its folder, which has config.json" },
  { "^down_blocks%.%d+%.", "a network of diffusers; open its folder, which has config.json" },
  { "^transformer_blocks%.%d+%.", "a network of diffusers; open its folder, which has config.json" },
}

--- The network that keys belong to, if it is one of these.
---@param keys table<string, any> by key
---@return string|nil
function others.find(keys)
  for _, mark in ipairs(marks) do
    for key in pairs(keys) do
      if key:find(mark[1]) then return mark[2] end
    end
  end
end

return others
