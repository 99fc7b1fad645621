-- Makes pickles of PyTorch's files for the fuzzer. They have one storage of the numbers 1 to 4.
local forge = require "spec.support.forge"

local pickled = {}

local function I(n) return "J" .. ("<i4"):pack(n) end
local function S(text) return "X" .. ("<I4"):pack(#text) .. text end

local STORAGE = "(" .. S "storage" .. "ctorch\nFloatStorage\n" .. S "0" .. S "cpu" .. I(4) .. "tQ"

-- A tensor of two sizes and strides.
local function tensor(offset, a, b, s, t)
  return "ctorch._utils\n_rebuild_tensor_v2\n(" .. STORAGE .. I(offset) .. I(a) .. I(b) .. "\x86" .. I(s) .. I(t)
    .. "\x86\x89ccollections\nOrderedDict\n)RtR"
end

local GLOBALS = { "ctorch._utils\n_rebuild_parameter\n", "ctorch._utils\n_rebuild_tensor_v3\n",
  "ctorch._tensor\n_rebuild_from_type_v2\n", "ctorch\nSize\n", "ccollections\nOrderedDict\n",
  "c_codecs\nencode\n",
  "ctorch\nHalfStorage\n", "ctorch\nbfloat16\n", "ctorch.storage\nUntypedStorage\n", "cbuiltins\nset\n",
  "cos\nsystem\n" }

pickled.words = { "(", ")", "t", "\x85", "\x86", "\x87", "]", "}", "R", "b", "u", "s", "e", "a", "0", "1", "2", "N",
  "K\1", "\x88", "\x81", "\x92", "\x93", "\x94", "\x8f", "\x90", "\x91", "h\0", "h\1", "q\0", "q\1", "Q", ".",
  "\x8a\1\5", S "a", S "_modules", S "_parameters", STORAGE, tensor(0, 2, 2, 2, 1), tensor(0, 1, 4, 0, 1),
  table.unpack(GLOBALS) }

--- Pickles of a learned word: those of diffusers and of stable-diffusion-webui.
---@return string[]
function pickled.vectors()
  local x = tensor(0, 2, 2, 2, 1)
  return { "\x80\2}" .. S "<x>" .. x .. "s.",
    "\x80\2}(" .. S "string_to_param" .. "}" .. S "*" .. x .. "s" .. S "name" .. S "<x>" .. S "step" .. I(3) .. "u." }
end

pickled.vector_words = { S "string_to_param", S "*", S "name", S "<x>", table.unpack(pickled.words) }

--- Pickles that are read.
---@return string[]
function pickled.seeds()
  local one, two = tensor(0, 2, 2, 2, 1), tensor(1, 3, 1, 1, 9)
  return {
    "\x80\2}q\0(" .. S "a" .. one .. "q\1" .. S "b" .. two .. S "same" .. "h\1" .. S "n" .. I(3) .. "u.",
    "\x80\2ccollections\nOrderedDict\n)R(" .. S "a.weight" .. one .. S "list" .. "](" .. two .. "K\5e" .. S "up"
      .. "ctorch._utils\n_rebuild_parameter\n(" .. one .. "\x88NtRu}" .. S "_metadata" .. "Nsb.",
    "\x80\4\x95" .. ("<I8"):pack(3) .. "}\x94(" .. S "m" .. "cnet\nNet\n)\x81}(" .. S "_parameters" .. "}" .. S "w"
      .. one .. "s" .. S "_buffers" .. "}" .. S "_modules" .. "}ub" .. S "f" .. "G" .. (">d"):pack(0.5) .. "u.",
  }
end

--- A file of a pickle. Its checksum isn't verified.
---@param text string
---@return string
function pickled.file(text)
  return forge.zip { { "x/data.pkl", text, nil, 0 }, { "x/data/0", ("<ffff"):pack(1, 2, 3, 4) } }
end

return pickled
