-- Networks of EDM, exported from its pickles to safetensors or a state dict. Their code's constants are
-- known, but not with which preconditioning a network was trained.
local family = require "diffusion.network.edm"
local precondition = require "diffusion.precondition"
local process = require("diffusion.process").process
local schedule = require("diffusion.schedule").schedule

local edm = { name = "edm", title = "a network of EDM", entry = family.peers.edm, known = family }

--- The prefixes of keys under which such a network stands.
---@param shapes table<string, integer[]>
---@return string[]
function edm.find(shapes)
  local list = {}
  for key in pairs(shapes) do
    local prefix, height, width = key:match "^(.-)enc%.(%d+)x(%d+)_conv%.weight$"
    if prefix and height == width and (prefix == "" or prefix:sub(-1) == ".") then list[#list + 1] = prefix end
  end
  table.sort(list)
  return list
end

-- ==== sizes ==============================================================================

-- The heights of the levels, from the largest.
local function heights(p)
  local seen, list = {}, {}
  for key in pairs(p.shapes) do
    local height = math.tointeger(tonumber(key:match "^enc%.(%d+)x%d+_"))
    if height and not seen[height] then
      seen[height] = true
      list[#list + 1] = height
    end
  end
  table.sort(list, function(a, b) return a > b end)
  return list
end

local function stem_of(side, height) return ("%s.%dx%d_"):format(side, height, height) end

local function blocks_of(p, height)
  local n = 0
  while p:shape(("%sblock%d.conv0.weight"):format(stem_of("enc", height), n)) do n = n + 1 end
  return n
end

local function read_levels(p, o, list)
  o.channel_mult, o.attn_resolutions = {}, {}
  for level, height in ipairs(list) do
    local first = stem_of("enc", height) .. "block0.conv0.weight"
    if not p:shape(first) then p:refuse("its level of %d x %d pixels has no blocks", height, height) end
    o.channel_mult[level] = p:size(first, 1) // o.model_channels
    if p:shape(stem_of("enc", height) .. "block0.qkv.weight") then
      o.attn_resolutions[#o.attn_resolutions + 1] = height
    end
  end
  o.num_blocks = blocks_of(p, list[1])
end

local function filter_of(p)
  for key, shape in pairs(p.shapes) do
    if key:find "resample_filter$" then return shape[3] end
  end
  return 2
end

-- The first width of the waves' product is model_channels in dhariwal, and a multiple of it in song.
local function read_widths(p, o, first)
  local wide, waves = p:size("map_layer0.weight", 1), p:size("map_layer0.weight", 2)
  o.model_channels = o.kind == "song" and p:size(first, 1) or waves
  o.channel_mult_emb, o.channel_mult_noise = wide // o.model_channels, waves // o.model_channels
end

local function options_of(p)
  local list = heights(p)
  local first = stem_of("enc", list[1]) .. "conv.weight"
  local o = { kind = p:shape "out_conv.weight" and "dhariwal" or "song" }
  o.image = { list[1], list[1], p:size(first, 2) }
  o.out_channels = p:size(o.kind == "dhariwal" and "out_conv.weight" or stem_of("dec", list[1]) .. "aux_conv.weight", 1)
  read_widths(p, o, first)
  read_levels(p, o, list)
  o.classes = p:shape "map_label.weight" and p:size("map_label.weight", 2) or 0
  o.augment_dim = p:shape "map_augment.weight" and p:size("map_augment.weight", 2) or 0
  if o.kind == "dhariwal" then
    o.head_channels = p.o.head_channels or 64
    return o
  end
  local second = list[2] and stem_of("enc", list[2]) or ""
  o.embedding_type = p:shape "map_noise.freqs" and "fourier" or "positional"
  o.encoder_type = p:shape(second .. "aux_skip.weight") and "skip" or p:shape(second .. "aux_residual.weight")
    and "residual" or "standard"
  o.decoder_type = list[2] and p:shape(stem_of("dec", list[2]) .. "aux_conv.weight") and "skip" or "standard"
  o.resample_taps = filter_of(p)
  return o
end

-- ==== tensors ============================================================================

-- Rows of qkv go round q, k, v. Each of them is a window.
local function tensors_of(p)
  local out = {}
  for key, x in pairs(p.tensors) do
    local stem, kind = key:match "^(.-)qkv%.(%a+)$"
    if stem then
      local rows = x:size(1) // 3
      local split = kind == "weight" and x:view(rows, 3, rows) or x:view(rows, 3)
      for i, name in ipairs { "q", "k", "v" } do
        out[("%sattend.%s.%s"):format(stem, name, kind)] = split:select(2, i)
      end
    else out[key] = x end
  end
  return out
end

-- ==== the process ========================================================================

-- The schedule of each row of the paper's table 1, and the target that its networks predict.
local processes = {
  edm = function(sigma_data)
    return process { schedule = schedule.edm {}, predict = "edm", sigma_data = sigma_data }
  end,
  vp = function() return process { schedule = schedule.vp {}, predict = "eps" } end,
  ve = function() return process { schedule = schedule.ve {}, predict = "eps" } end,
  iddpm = function() return process { schedule = schedule.cosine { T = 1000 }, predict = "eps" } end,
}

--- Reads a network of EDM.
---@param p table a plan
---@return table {options, tensors, process, adapt, kind = row of d.precondition}
function edm.read(p)
  local o = options_of(p)
  local kind = p:ask "precondition"
  local sigma_data = kind == "edm" and p:ask "sigma_data" or nil
  return {
    options = o, tensors = function() return tensors_of(p) end, kind = kind,
    process = function() return p.o.process or processes[kind](sigma_data) end,
    adapt = function(net, one) return precondition.scaled(net, one, kind) end,
  }
end

return edm
