-- Tiny text-to-image pipes and files of adapters, as spec/peers/lora_text.py has them.
local child = require "spec.support.child"
local d = require "diffusion"
local json = require "diffusion.file.json"
local opts = require "diffusion.opts"
local peer_values = require "spec.support.peer_values"
local text_folder = require "spec.support.text_folder"

local lora_text = {}

local all = assert(json.decode(assert(child.read "spec/fixtures/peers/text_pipelines.json")))

--- Writes the folder of a kind and opens it, without its autoencoder unless `whole`.
---@param root string
---@param kind "sd1"|"xl"
---@param whole boolean|nil
---@return any pipe
function lora_text.pipe(root, kind, whole)
  local case = all.kinds[kind]
  local parts = {}
  for name, config in pairs(case.parts) do
    if whole or name ~= "vae" then parts[name] = opts.joined(config) end
  end
  if parts.text_encoder_2 then parts.text_encoder_2.eos_token_id = parts.text_encoder_2.vocab_size - 1 end
  local folder = root .. "/" .. kind
  local how = not whole and { vae = false } or nil
  if not d.hub.load(folder, how) then
    text_folder.write(folder, { pipeline = case.pipeline, parts = parts, scheduler = case.scheduler, pad = case.pad,
      pad2 = case.pad2, values = 0 }, all)
  end
  return assert(d.hub.load(folder, how))
end

--- Writes a file of adapters.
---@param path string
---@param facts table {shapes, alphas, seed, metadata}
function lora_text.write(path, facts)
  local tensors = peer_values.filled(facts.shapes, facts.seed)
  for name, alpha in pairs(facts.alphas) do tensors[name] = d.full({}, alpha) end
  local metadata = facts.metadata ~= json.null and facts.metadata or nil
  assert(d.save(path, tensors, metadata))
end

--- The denoiser's output for one input, conditioned on the states of a text.
---@param pipe any
---@param prompt string|nil
---@return any
function lora_text.output(pipe, prompt)
  local x = peer_values.uniform({ 1, 4, 8, 8 }, 3):permute(1, 3, 4, 2):contiguous()
  local given = pipe:encode_prompt { prompt = prompt or "a red cat on the mat" }
  if given.text_embeds then given.time_ids = d.tensor { { 16, 24, 2, 3, 16, 16 } } end
  return pipe.unet(x, 42, given)
end

return lora_text
