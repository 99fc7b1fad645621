-- Files of TAESD (taesd_encoder.pth and taesd_decoder.pth) as AutoencoderTiny. Each file has one half, as
-- a list of layers that are numbered from 0. The other half lies next to it.
local arrays = require "diffusion.file.arrays"
local core = require "diffusion.core"
local family = require "diffusion.network.autoencodertiny"
local parser = require "diffusion.file.parser"

local taesd = { name = "AutoencoderTiny", title = "an autoencoder of TAESD", mark = "encoder.1.conv.0.weight",
  entry = family.peers.taesd, known = family, role = "vae" }

local MOST = 400 -- layers of a half

local fault = parser.fault()

-- ==== two halves =========================================================================

-- The first layers of each half.
local FIRST = { encoder = { "0.weight", "1.conv.0.weight" }, decoder = { "1.weight", "3.conv.0.weight" } }
local OTHER = { encoder = "decoder", decoder = "encoder" }

local function half_of(shapes)
  for _, half in ipairs { "encoder", "decoder" } do
    local first = shapes[FIRST[half][1]]
    if first and #first == 4 and shapes[FIRST[half][2]] then return half end
  end
end

-- The path of the other half: "decoder" for the last "encoder" in the file's name.
local function partner(path, half)
  local folder, name = path:match "^(.-)([^/]*)$"
  local before, after = name:match("^(.*)" .. half .. "(.-)$")
  local other = before and folder .. before .. OTHER[half] .. after
  if other and core.place(other) == "file" then return other end
  fault("%s: the %s of a TAESD; its %s isn't there: %s", path, half, OTHER[half],
    other or ("the file's name has no '%s' in whose place '%s' could be"):format(half, OTHER[half]))
end

--- The tensors of both halves under "encoder." and "decoder.", if the file has one of them.
---@param path string
---@param all table<string, any> its tensors
---@param load fun(path: string): table<string, any>
---@return table<string, any> all as given for any other file
function taesd.whole(path, all, load)
  local half = half_of(arrays.shapes(all))
  if not half then return all end
  local other = partner(path, half)
  local rest, out = load(other), {}
  if half_of(arrays.shapes(rest)) ~= OTHER[half] then fault("%s: not the %s of %s", other, OTHER[half], path) end
  for key, x in pairs(all) do out[half .. "." .. key] = x end
  for key, x in pairs(rest) do out[OTHER[half] .. "." .. key] = x end
  return arrays.named(path, out)
end

-- ==== options ============================================================================

-- The number of blocks of each level. A convolution without a bias begins a level of the encoder, and ends
-- one of the decoder. The last layer is a convolution with a bias.
local function levels(p, half, first)
  local counts, n, last = { 0 }, first, 0
  for key in pairs(p.shapes) do last = math.max(last, tonumber(key:match("^" .. half .. "%.(%d+)%.")) or 0) end
  if last > MOST then p:refuse("its %s has layer %.0f, but %d is the last that is read", half, last, MOST) end
  while n < last do
    local stem = ("%s.%d"):format(half, n)
    if p:shape(stem .. ".conv.0.weight") then counts[#counts] = counts[#counts] + 1
    elseif p:shape(stem .. ".weight") then counts[#counts + 1] = 0 end
    n = n + 1
  end
  return counts, ("%s.%d.weight"):format(half, last)
end

local function refuse_variants(p)
  for key in pairs(p.shapes) do
    if key:find "%.pool%.%d" then p:refuse("'%s': blocks with pools, as those of taef2, aren't followed here", key) end
    if key:find "%.skip%.weight$" then p:refuse("'%s': blocks that change their width aren't followed here", key) end
  end
end

local function widths(p, key, counts)
  local out = {}
  for i = 1, #counts do out[i] = p:size(key, 1) end
  return out
end

--- Reads an autoencoder of TAESD.
---@param p table a plan
---@return table {options, tensors, process}
function taesd.read(p)
  refuse_variants(p)
  local down, latents = levels(p, "encoder", 1)
  local up, image = levels(p, "decoder", 3)
  local o = { in_channels = p:size("encoder.0.weight", 2), out_channels = p:size(image, 1),
    latent_channels = p:size(latents, 1), num_encoder_blocks = down, num_decoder_blocks = up,
    encoder_block_out_channels = widths(p, "encoder.0.weight", down),
    decoder_block_out_channels = widths(p, "decoder.1.weight", up) }
  return { options = o, tensors = function() return p.tensors end, process = function() end }
end

return taesd
