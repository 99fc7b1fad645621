-- GGUF files, written part by part, so that they can also be wrong.
local d = require "diffusion"

local gguf_file = {}

local TYPES = { f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, i8 = 24, f64 = 28, bf16 = 30 }
local FORMATS = { [0] = "<I1", "<i1", "<I2", "<i2", "<I4", "<i4", "<f", "<I1", "<s8", nil, "<I8", "<i8", "<d" }

--- A fact: its name, the code of its type, and its value. The value of an array is {type, values}.
function gguf_file.fact(name, kind, value)
  local head = ("<s8I4"):pack(name, kind)
  if kind ~= 9 then return head .. FORMATS[kind]:pack(value) end
  local parts = { head, ("<I4I8"):pack(value[1], #value[2]) }
  for i, one in ipairs(value[2]) do parts[i + 2] = FORMATS[value[1]]:pack(one) end
  return table.concat(parts)
end

--- A tensor's entry. `shape` is torch's.
function gguf_file.entry(name, shape, kind, offset)
  local parts = { ("<s8I4"):pack(name, #shape) }
  for i = #shape, 1, -1 do parts[#parts + 1] = ("<I8"):pack(shape[i]) end
  return table.concat(parts) .. ("<I4I8"):pack(kind, offset)
end

--- A file of facts and entries, as texts, and data.
---@param o table {version = 3, facts, entries, data, tensors and counts = numbers that are told}
function gguf_file.bytes(o)
  local facts, entries = o.facts or {}, o.entries or {}
  local head = "GGUF" .. ("<I4I8I8"):pack(o.version or 3, o.tensors or #entries, o.counts or #facts)
    .. table.concat(facts) .. table.concat(entries)
  local alignment = o.alignment or 32
  return head .. ("\0"):rep(-#head % alignment) .. (o.data or "")
end

-- ==== quantized weights ==================================================================

local function halves(list) return d.tensor(list):to("f16"):bytes() end

-- The scale of a block of 32 numbers from `at` on, and its bytes, by ggml's own rules.
local blocks = {
  q8_0 = function(x, at)
    local most, codes = 0, {}
    for i = at, at + 31 do most = math.max(most, math.abs(x[i])) end
    local scale = most / 127
    for i = 1, 32 do codes[i] = (scale > 0 and math.floor(x[at + i - 1] / scale + 0.5) or 0) & 255 end
    return scale, string.char(table.unpack(codes))
  end,
  q4_0 = function(x, at)
    local most, codes = 0, {}
    for i = at, at + 31 do most = math.abs(x[i]) > math.abs(most) and x[i] or most end
    local scale = most / -8
    local function code(v) return scale ~= 0 and math.max(0, math.min(15, math.floor(v / scale + 8.5))) or 8 end
    for i = 1, 16 do codes[i] = code(x[at + i - 1]) | code(x[at + i + 15]) << 4 end
    return scale, string.char(table.unpack(codes))
  end,
}

local function quantized(x, kind)
  local list, scales, parts = x:to("f32"):flatten():totable(), {}, {}
  for at = 1, #list, 32 do scales[#scales + 1], parts[#parts + 1] = blocks[kind](list, at) end
  local heads = halves(scales)
  for i, part in ipairs(parts) do parts[i] = heads:sub(2 * i - 1, 2 * i) .. part end
  return table.concat(parts)
end

-- Names of tensors that stable-diffusion.cpp leaves as they are. Weights of norms are quantized there too.
local KEPT = { "%.bias$", "%.scale$", "embedding", "time_embed%.", "label_emb%." }

local function is_kept(name)
  for _, pattern in ipairs(KEPT) do if name:find(pattern) then return true end end
  return false
end

--- A file of tensors. Those whose rows are whole blocks are quantized as `kind`, as stable-diffusion.cpp
--- chooses them.
---@param tensors table<string, diffusion.tensor>
---@param kind string "q8_0" or "q4_0"
---@return string bytes
---@return integer number of quantized tensors
function gguf_file.of(tensors, kind)
  local names, entries, parts, at, n = {}, {}, {}, 0, 0
  for name in pairs(tensors) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local x = tensors[name]:contiguous()
    local in_blocks = x:dtype() ~= "i64" and x:dim() > 0 and x:size(x:dim()) % 32 == 0 and not is_kept(name)
    local data = in_blocks and quantized(x, kind) or (x:dtype() == "i64" and x:to "f32" or x):bytes()
    local own = in_blocks and kind or x:dtype() == "i64" and "f32" or x:dtype()
    entries[i], n = gguf_file.entry(name, x:shape(), TYPES[own], at), n + (in_blocks and 1 or 0)
    parts[i] = data .. ("\0"):rep(-#data % 32)
    at = at + #parts[i]
  end
  return gguf_file.bytes { entries = entries, data = table.concat(parts),
    facts = { gguf_file.fact("general.architecture", 8, "sd") } }, n
end

return gguf_file
