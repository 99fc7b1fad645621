-- Files of low-rank adapters. Their names are those of diffusers and peft:
--   unet.PATH.lora_A.weight {rank, in} or {rank, in, k, k}, unet.PATH.lora_B.weight {out, rank} ...
-- The metadata has a config. A file of peft itself has it next to it, in adapter_config.json. Older names are
-- read too. Paths are those of other libraries; see nn/lora_names.
local any_file = require "diffusion.file.tensors"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local safetensors = require "diffusion.file.safetensors"
local warning = require "diffusion.warning"

local files = {}

-- A folder's file is that of diffusers, of its older versions, or of peft.
local FILES = { "pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin", "adapter_model.safetensors",
  "adapter_model.bin" }
local CONFIG, MOST = "adapter_config.json", 1 << 24 -- the config of peft's files, and its greatest size in bytes

local function within(path, name) return path:gsub("/*$", "") .. "/" .. name end

-- The file itself, for a path that may be a folder.
local function file_of(path) return core.list(path) and within(path, FILES[1]) or path end

--- The file of adapters that is read for a path, which may be a folder.
---@param path string
---@return string
function files.found(path)
  for _, name in ipairs(core.list(path) and FILES or {}) do
    if core.place(within(path, name)) == "file" then return within(path, name) end
  end
  return file_of(path)
end

-- ---- writing ------------------------------------------------------------------------------

-- Weights of convolutions are K, R, S, C here and K, C, R, S there.
local function outward(x) return (x:dim() == 4 and x:permute(1, 4, 2, 3) or x):contiguous() end
local function inward(x) return x:dim() == 4 and x:permute(1, 3, 4, 2) or x end

-- The most frequent of the numbers, the first of those that tie.
local function usual(list, name)
  local count, best = {}, nil
  for _, a in ipairs(list) do
    count[a[name]] = (count[a[name]] or 0) + 1
    if not best or count[a[name]] > count[best] then best = a[name] end
  end
  return best
end

-- A path as a config names it, and whether that is its end alone. Some versions of transformers have text encoders
-- without "text_model".
local function in_config(path)
  local bare, count = path:gsub("^text_model%.", "")
  return bare, count > 0
end

-- The numbers of adapters that have another one: {["^path"] = number}.
local function others(list, name, value)
  local out = {}
  for _, a in ipairs(list) do
    local path, is_end = in_config(a.name)
    if a[name] ~= value then out[is_end and path or "^" .. path] = a[name] end
  end
  return out
end

-- The fields of peft's LoraConfig.
local function config(list, dropout)
  local targets = {}
  for i, a in ipairs(list) do targets[i] = (in_config(a.name)) end
  local r, alpha = usual(list, "rank"), usual(list, "alpha")
  return { peft_type = "LORA", r = r, lora_alpha = alpha, lora_dropout = dropout, target_modules = targets,
    rank_pattern = others(list, "rank", r), alpha_pattern = others(list, "alpha", alpha), bias = "none",
    use_dora = false, use_rslora = false }
end

--- The adapters of one part of a pipeline, as a file has them.
---@class diffusion.lora_part
---@field prefix string the part's name there: "unet"
---@field list table[] {name = their path, flat = the same as kohya's scripts write it, rank, alpha, down, up = tensors}
---@field dropout number

local forms = {}

function forms.diffusers(parts)
  local tensors, described = {}, {}
  for _, part in ipairs(parts) do
    for _, a in ipairs(part.list) do
      local name = a.name == "" and part.prefix or part.prefix .. "." .. a.name
      tensors[name .. ".lora_A.weight"], tensors[name .. ".lora_B.weight"] = outward(a.down), outward(a.up)
    end
    for key, value in pairs(config(part.list, part.dropout)) do described[part.prefix .. "." .. key] = value end
  end
  return tensors, { format = "pt", lora_adapter_metadata = json.encode(described, true) }
end

function forms.kohya(parts)
  local tensors, all = {}, {}
  for _, part in ipairs(parts) do
    for _, a in ipairs(part.list) do
      local name = part.prefix .. "_" .. a.flat
      tensors[name .. ".lora_down.weight"], tensors[name .. ".lora_up.weight"] = outward(a.down), outward(a.up)
      tensors[name .. ".alpha"] = core.full({}, a.alpha)
      all[#all + 1] = a
    end
  end
  return tensors, { format = "pt", ss_network_module = "networks.lora",
    ss_network_dim = ("%d"):format(usual(all, "rank")), ss_network_alpha = ("%g"):format(usual(all, "alpha")) }
end

--- Writes adapters. A folder gets the file that diffusers looks for.
---@param path string
---@param form "diffusers"|"kohya"
---@param parts diffusion.lora_part[]
---@return true|nil done nil with a message if the file can't be written
---@return string|nil message
function files.write(path, form, parts)
  local tensors, metadata = forms[form](parts)
  return safetensors.save(file_of(path), tensors, metadata)
end

-- ---- the names in a file -------------------------------------------------------------------

-- Ends of names: those of A, those of B, and what belongs to the path instead, in a text encoder too.
local ENDS = {
  { "%.lora_A%.weight$", "%.lora_B%.weight$" },
  { "%.lora_A%.[%w_]+%.weight$", "%.lora_B%.[%w_]+%.weight$" },
  { "%.lora%.down%.weight$", "%.lora%.up%.weight$" },
  { "%.lora_linear_layer%.down%.weight$", "%.lora_linear_layer%.up%.weight$" },
  { "%.to_([qkv])_lora%.down%.weight$", "%.to_([qkv])_lora%.up%.weight$", ".to_%s", ".%s_proj" },
  { "%.to_out_lora%.down%.weight$", "%.to_out_lora%.up%.weight$", ".to_out.0", ".out_proj" },
  { "%.lora_down%.weight$", "%.lora_up%.weight$" },
}

-- Other kinds of adapters, by patterns of their names.
local FOREIGN = { { "%.dora_scale$", "DoRA" }, { "%.lora_magnitude_vector", "DoRA" }, { "%.hada_", "LoHa" },
  { "%.lokr_", "LoKr" }, { "%.lora_mid%.", "a LoCon core" }, { "%.lora_B%..*bias$", "a bias of B" },
  { "%.diff$", "a full difference" }, { "%.diff_b$", "a full difference" }, { "%.on_input$", "IA3" },
  { "%.oft_", "OFT" }, { "%.[ab][12]%.weight$", "GLoRA" }, { "%.[wb]_norm$", "a difference of a norm" },
  { "%.lora_embedding_[AB]", "an adapter of an embedding" }, { "^bundle_emb%.", "a word of textual inversion" } }

-- Parts of a pipeline. A file may call a unet a transformer, and the other way round.
local PARTS = { unet = "unet", transformer = "unet", prior = "prior", vae = "vae", text_encoder = "text_encoder",
  text_encoder_2 = "text_encoder_2", text_encoder_3 = "text_encoder_3" }
local KOHYA = { lora_unet_ = "unet", lora_te_ = "text_encoder", lora_te1_ = "text_encoder",
  lora_te2_ = "text_encoder_2" }

-- A name without the part of the pipeline, that part or nil, and whether it is of kohya's scripts, which have
-- underscores for dots.
local function without_part(name)
  for start, part in pairs(KOHYA) do
    if name:sub(1, #start) == start then return name:sub(#start + 1), part, true end
  end
  local bare = name:gsub("^base_model%.model%.", "")
  local part, rest = bare:match "^([%w_]+)%.(.*)$"
  if not PARTS[part] then return bare end
  return rest, PARTS[part]
end

-- "PATH.lora_A.weight" -> path, "down". The path of a network that is one layer is empty.
local function split(name, is_text)
  local whole = "." .. name:gsub("%.processor%.", ".")
  for _, e in ipairs(ENDS) do
    for i, which in ipairs { "down", "up" } do
      local at, _, letter = whole:find(e[i])
      if at then return whole:sub(2, at - 1) .. (is_text and e[4] or e[3] or ""):format(letter), which end
    end
  end
  local path = whole:match "^(.*)%.alpha$"
  return path and path:sub(2), path and "alpha"
end

local function foreign_of(name)
  for _, pair in ipairs(FOREIGN) do if name:find(pair[1]) then return pair[2] end end
end

-- Whether names without a part are of the part that is wanted: those of a denoiser are, next to other parts.
local function takes_bare(names, wanted)
  if PARTS[wanted] == "unet" then return true end
  for _, name in ipairs(names) do
    if select(2, without_part(name)) then return false end
  end
  return true
end

-- {[path] = {down, up, alpha}}, the paths in order, and the names that fit nothing.
local function grouped(names, wanted)
  local out, order, odd = {}, {}, {}
  local bare, is_text = takes_bare(names, wanted), wanted:find "^text_encoder" ~= nil
  for _, name in ipairs(names) do
    local rest, part, kohya = without_part(name)
    local ours = part == PARTS[wanted] or part == nil and bare
    local path, which = split(rest, is_text)
    if ours and not path then odd[#odd + 1] = name end
    if ours and path then
      if not out[path] then
        out[path] = { kohya = kohya }
        order[#order + 1] = path
      end
      out[path][which] = name
    end
  end
  return out, order, odd
end

-- ---- the config in a file ------------------------------------------------------------------

-- The config of a file: peft's is next to it, others are in the metadata.
local function config_of(metadata, file)
  if file:find "adapter_model%.[^/.]*$" then
    local beside = file:gsub("[^/]*$", CONFIG)
    if core.place(beside) == "file" then return json.read(beside, "a config of adapters", MOST) end
    warning.once({}, "alpha", "%s: no %s next to it, so alpha is taken as the rank", file, CONFIG)
  end
  local text = metadata.lora_adapter_metadata
  if text == nil then return {} end
  local given, why = json.decode(text)
  if type(given) == "table" and #given == 0 then return given end
  return legible.refused("%s: its lora_adapter_metadata: %s", file, why or "an object of JSON expected")
end

-- The fields of the network's LoraConfig, without the part of the pipeline.
local function described(given, part)
  local out = {}
  for key, value in pairs(given) do
    local rest, own = without_part(key)
    if (own == nil or own == PARTS[part]) and value ~= json.null then out[rest] = value end
  end
  return out
end

-- Whether a key of a pattern table is for a path. Keys are regular expressions for the end of it.
local function is_for(key, path)
  if key:sub(1, 1) == "^" then return key:sub(2) == path end
  return path == key or path:sub(-#key - 1) == "." .. key
end

-- If several keys are for a path, the first by name counts, as in diffusers, whose files have them sorted.
local function alpha_of(facts, path)
  local pattern = type(facts.alpha_pattern) == "table" and facts.alpha_pattern or {}
  for _, key in ipairs(opts.names(pattern)) do
    if is_for(key, path) then return pattern[key] end
  end
  return facts.lora_alpha
end

-- Ranks are those of the tensors, so a rank_pattern may be of any form.
local function fault_of(facts)
  local pattern = facts.alpha_pattern
  for key in pairs(type(pattern) == "table" and pattern or {}) do
    if type(key) ~= "string" or key:find "[%[%]%(%)%*%+%?|\\%$]" then
      return ("its alpha_pattern has the regular expression '%s'; paths are read"):format(key)
    end
  end
  if facts.peft_type ~= nil and facts.peft_type ~= "LORA" then
    return ("its adapters are of the kind %s, which is not read"):format(tostring(facts.peft_type))
  end
  if facts.use_dora == true then return "its adapters are DoRA's, which are not read" end
end

-- The number that a file has as an alpha, or nil.
local function number_of(x)
  if core.is_tensor(x) and x:numel() == 1 then return x:item() end
  return type(x) == "number" and x or nil
end

-- B A's factor times the rank.
local function settled_alpha(tensors, facts, path, g, rank)
  local alpha
  if g.alpha then alpha = number_of(tensors[g.alpha]) else alpha = alpha_of(facts, path) or rank end
  if type(alpha) ~= "number" or alpha - alpha ~= 0 then return nil end
  return facts.use_rslora == true and alpha * math.sqrt(rank) or alpha
end

-- ---- reading -------------------------------------------------------------------------------

local function is_factor(x) return core.is_tensor(x) and (x:dim() == 2 or x:dim() == 4) end

-- One adapter of the file: {name, kohya, rank, alpha, down, up}; or nil and why.
local function adapter(tensors, facts, path, g)
  for _, which in ipairs { "down", "up" } do
    if not g[which] then
      return nil, ("'%s' has no %s"):format(path, which == "down" and "lora_A or down" or "lora_B or up")
    end
    local x = tensors[g[which]]
    if not is_factor(x) then return nil, ("'%s' is %s"):format(g[which], kind.shown(x)) end
  end
  local down, up = inward(tensors[g.down]), inward(tensors[g.up])
  local rank = down:size(1)
  if up:size(-1) ~= rank then
    return nil, ("'%s' is %s, but '%s' is %s: their ranks differ"):format(g.down, kind.shape_text(tensors[g.down]),
      g.up, kind.shape_text(tensors[g.up]))
  end
  if rank == 0 then return nil, ("'%s' is %s, of rank 0"):format(g.down, kind.shape_text(tensors[g.down])) end
  local alpha = settled_alpha(tensors, facts, path, g, rank)
  if not alpha then return nil, ("the alpha of '%s' isn't a finite number"):format(path) end
  return { name = path, kohya = g.kohya, rank = rank, alpha = alpha, down = down, up = up }
end

local function odd_keys(odd)
  local what = foreign_of(odd[1])
  return ("%d %s of no adapter of rank r; the first is '%s'%s"):format(#odd, #odd == 1 and "key is" or "keys are",
    odd[1], what and (", %s"):format(what) or "")
end

local function parsed(tensors, facts, part)
  local groups, order, odd = grouped(opts.names(tensors), part)
  local fault = #odd > 0 and odd_keys(odd) or fault_of(facts)
    or #order == 0 and ("it has no adapters of a %s"):format(part)
  if fault then return nil, fault end
  local list = {}
  for i, path in ipairs(order) do
    local a, why = adapter(tensors, facts, path, groups[path])
    if not a then return nil, why end
    list[i] = a
  end
  return list
end

-- The tensors of a file, its metadata, and its path if that was a folder's.
local function opened(path)
  local file = files.found(path)
  local tensors, metadata = any_file.load(file)
  if not tensors then return nil, metadata end
  if core.is_tensor(tensors) then return legible.refused("%s: one tensor, not adapters by name", file) end
  return tensors, metadata, file
end

--- Reads the adapters of a network from a file, or from the file in a folder that diffusers writes.
---@param path string
---@param part string the part of a pipeline that the network is
---@return table[]|nil list {name = their path, kohya = it has underscores, rank, alpha, down, up}; nil
---  with a message
---@return string|nil message
function files.read(path, part)
  local tensors, metadata, file = opened(path)
  if not tensors then return nil, metadata end
  local given, message = config_of(metadata, file)
  if not given then return nil, message end
  local list, why = fail.try(parsed, tensors, described(given, part), part)
  if not list then return legible.refused("%s%s", why:sub(1, #file) == file and "" or file .. ": ", why) end
  return list
end

--- The parts of a pipeline of which a file has adapters, sorted by name. "unet" stands for any denoiser.
---@param path string
---@return string[]|nil parts nil with a message
---@return boolean|string bare whether no name has a part, or the message
function files.parts(path)
  local tensors, metadata = opened(path)
  if not tensors then return nil, metadata end
  local found, bare = {}, true
  for name in pairs(tensors) do
    local part = select(2, without_part(name))
    found[part or "unet"], bare = true, bare and not part
  end
  return opts.names(found), bare
end

return files
