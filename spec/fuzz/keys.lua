-- Keys and shapes of other libraries' networks for the fuzzer: a line for each tensor, "key 2,3". A file
-- has zeros for them.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local forge = require "spec.support.forge"

local keys = {}

local LARGEST = 1 << 19 -- bytes of a tensor; larger ones are left out

keys.words = { "\n", " ", ",", "0", "1", "2", "64", "9999", "weight", "bias", ".0.", ".1.", ".", "model.",
  "ema_model.", "mem_kv", "fn.fn.", "to_out.0", "qkv", "pos_embed 1,16,16\n", "enc.8x8_conv.weight", "blocks.0.",
  "betas 10\nalphas_cumprod 10\nloss_weight 10\n", "output_blocks.0.0.", "resample_filter 1,1,4,4\n",
  "out_conv.weight 3,8,3,3\n" }

-- Options for all of them.
local OPTIONS = { image = { 8, 8, 3 }, heads = 2, head_channels = 4, qkv_order = "legacy", schedule = "linear",
  T = 100, predict = "eps", variance = "fixed_small", version = "1.6", groups = 2, precondition = "edm",
  sigma_data = 0.5, classes = 3, time = "t", rescale_timesteps = false }

local function all_options()
  local out = {}
  for name, value in pairs(OPTIONS) do out[name] = value end
  return out
end

-- Words that tell the libraries' files apart, and the options that the last file of each needed.
local MARKS, needed = { "mid_block1", "output_blocks", "out_conv", "enc", "" }, {}

local function mark_of(bytes)
  for _, mark in ipairs(MARKS) do
    if bytes:find(mark, 1, true) then return mark end
  end
end

--- Opens a file with those of the options that it needs.
---@param path string
---@param bytes string the file's
---@return diffusion.pipe|nil pipe nil with a message
---@return string|nil message
function keys.load(path, bytes)
  local mark, again = mark_of(bytes), false
  local given = needed[mark] or all_options()
  while true do
    needed[mark] = given
    local pipe, message = d.hub.load(path, given)
    local needless = not pipe and message:match "option '([%w_]+)' isn't needed"
    if needless then given[needless] = nil
    elseif pipe or again or not message:find "its keys don't tell" then return pipe, message
    else given, again = all_options(), true end
  end
end

local function lines_of(shapes)
  local lines = {}
  for key, shape in pairs(shapes) do lines[#lines + 1] = ("%s %s\n"):format(key, table.concat(shape, ",")) end
  table.sort(lines)
  return table.concat(lines)
end

--- Texts of small networks.
---@return string[]
function keys.seeds()
  local list = {}
  for _, name in ipairs { "lucidrains", "edm", "adm" } do
    for i, case in ipairs(cases.read(("spec/fixtures/peers/%s.safetensors"):format(name))) do
      if i % 3 == 1 and case.class ~= "DiT" then list[#list + 1] = lines_of(case.shapes) end
    end
  end
  return list
end

--- The beginning of the file of a text, up to the values.
---@param text string
---@return string
function keys.file(text)
  local parts, from, seen = {}, 0, {}
  for key, sizes in text:gmatch "([%w_.]+) ([%d,]*)\n" do
    local bytes, shape = 4, {}
    for size in sizes:gmatch "%d+" do
      shape[#shape + 1] = math.tointeger(tonumber(size)) or 0
      bytes = math.min(bytes * shape[#shape], LARGEST + 1)
    end
    if bytes <= LARGEST and #shape < 9 and not seen[key] then
      seen[key] = true
      parts[#parts + 1] = ('"%s":{"dtype":"F32","shape":[%s],"data_offsets":[%d,%d]}'):format(key,
        table.concat(shape, ","), from, from + bytes)
      from = from + bytes
    end
  end
  return forge.safetensors("{" .. table.concat(parts, ",") .. "}")
end

--- Writes a file of that beginning. Its zeros are a hole, since most of the time was spent on copies of them.
---@param path string
---@param bytes string
---@return string path
function keys.write(path, bytes)
  os.remove(path) -- the last one may still be mapped
  local size = 0
  for last in bytes:gmatch '"data_offsets":%[%d+,(%d+)%]' do size = math.max(size, math.tointeger(last)) end
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  if size > 0 then assert(file:seek("cur", size - 1) and file:write "\0") end
  return path
end

return keys
