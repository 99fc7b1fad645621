-- Compares our writer and reader with the safetensors library: bytes, values and verdicts.
local d = require "diffusion"
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local header = require "diffusion.file.safetensors_header"
local mutate = dofile "spec/support/mutate.lua"
local shards = require "diffusion.file.shards"

local python = os.getenv "PEERS" .. "/bin/python spec/peers/safetensors_files.py "
local folder, failed = child.folder(), 0

local function judge(what, wrong, of)
  print(("%-58s %d of %d differ"):format(what, wrong, of))
  failed = failed + wrong
end

-- ==== writing: the library loads our file and writes it again ==================================
-- It writes metadata in the random order of a hash table, so files have one entry at most.

local DTYPES = { "f32", "f64", "f16", "bf16", "u8", "i64" }
local LETTERS = { "a", "b", "A", "_", ".", "-", "1", "é", "\u{1f600}", '"', "\\", "/", "\n", "\1", "\127", " " }

local function text_of(random, most)
  local out = {}
  for i = 1, random(0, most) do out[i] = LETTERS[random(1, #LETTERS)] end
  return table.concat(out)
end

local function random_file(random)
  local tensors, metadata = {}, random(1, 4) > 1 and {} or nil
  for _ = 1, random(0, 12) do
    local shape = {}
    for k = 1, random(0, 5) do shape[k] = random(0, 4) end
    tensors[text_of(random, 8)] = (d.rand(shape, { seed = random(1, 99) }) * 255):floor():to(DTYPES[random(1, 6)])
  end
  for _ = 1, metadata and random(0, 1) or 0 do metadata[text_of(random, 6)] = text_of(random, 12) end
  -- version 0.8.0 writes neither tensors nor metadata as {},"__metadata__":{}}, which it can't read
  return tensors, next(tensors) and metadata or nil
end

local function check_writer(count)
  local wrong = 0
  for k = 1, count do
    assert(d.save(("%s/%d.safetensors"):format(folder, k), random_file(mutate.random(k))))
  end
  assert(os.execute(python .. "again " .. folder))
  for k = 1, count do
    local path = ("%s/%d"):format(folder, k)
    if child.read(path .. ".safetensors") ~= child.read(path .. ".again") then
      wrong = wrong + 1
      print(path .. ".safetensors differs from the library's")
    end
  end
  judge("files that we write", wrong, count)
end

-- ==== reading: verdicts on damaged files =======================================================

-- The library's words, and those of ours that say the same.
local SAME = {
  { "header too small", { "not even a header's length" } },
  { "header too large", { "has at most 100,000,000" } },
  { "invalid header length", { "header says" } },
  { "invalid UTF-8", { "isn't UTF-8" } },
  { "invalid JSON", { " of the header", "bytes follow the header", "the format doesn't have", "twice", "lacks",
    "has a member", "more than" } },
  { "invalid offset", { "a hole or an overlap" } },
  { "overflow computing", { "overflows 64 bits" } },
  { "slicing for subbytes", { "ends within a byte" } },
  { "invalid shape, data type", { "its data_offsets say" } },
  { "incomplete metadata", { "the file holds" } },
}

-- The library also takes a name twice, unknown members, more than 16 dimensions, and a list or null
-- in place of a table.
local STRICTER = { "names .* twice", "has a member", "more than 16 numbers", '"{" expected, "[%[n]" found' }

local function agree(theirs, ours)
  if theirs == "ok" and not ours then return true end
  for _, words in ipairs(STRICTER) do
    if ours and ours:find(words) then return true end
  end
  for _, pair in ipairs(SAME) do
    if theirs:find(pair[1], 1, true) then
      for _, words in ipairs(pair[2]) do
        if ours and ours:find(words, 1, true) then return true end
      end
    end
  end
  return false
end

local WORDS = { "{", "}", "[", "]", ",", ":", '"', " ", "\n", '"a"', '"b"', '"dtype"', '"shape"', '"data_offsets"',
  '"__metadata__"', "F32", "F4", "F6_E2M3", "BOOL", "I8", "U64", "C64", "I33", "null", "true", "\\u0061", "\\ud83d",
  "\\ude00", "\xff", "[0,4]", "[4,8]", "[0,8]", "[]", "[2]", "[2,2]", "\127", "\t" }

local GOOD = {
  { '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    .. '"b":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]}}', 12 },
  { '{"__metadata__":{"a":"b"},"b":{"dtype":"BOOL","shape":[],"data_offsets":[4,5]},'
    .. '"a":{"shape":[4,2],"dtype":"F4","data_offsets":[0,4]}}', 5 },
  { ' {"\\u0061": {"dtype": "U8", "shape": [0, 3], "data_offsets": [0, 0]}} ', 0 },
}

local function case(random)
  local good = GOOD[random(1, #GOOD)]
  local text = random(1, 10) > 1 and mutate.text(good[1], random, WORDS) or good[1]
  local data = ("\1"):rep(random(1, 10) > 1 and good[2] or random(0, 14))
  local bytes = ("<I8"):pack(#text) .. text .. data
  return random(1, 10) > 1 and bytes or mutate.text(bytes, random, WORDS)
end

local function our_verdict(bytes)
  local file = { size = function() return #bytes end,
    text = function(_, from, n) return bytes:sub(from + 1, from + n) end }
  local list, message = header.read(file)
  return not list and message or nil
end

local function check_reader(count)
  local random, cases, out, wrong = mutate.random(1), {}, {}, 0
  for k = 1, count do
    cases[k] = case(random)
    out[k] = ("<I4"):pack(#cases[k]) .. cases[k]
  end
  child.write(folder .. "/cases", table.concat(out))
  local verdicts <close> = assert(io.popen(python .. "judge " .. folder))
  local k, fine = 0, 0
  for theirs in verdicts:lines() do
    k = k + 1
    local ours = our_verdict(cases[k])
    fine = fine + (theirs == "ok" and 1 or 0)
    if not agree(theirs, ours) then
      wrong = wrong + 1
      print(("%q\n  library: %s\n  ours: %s"):format(cases[k], theirs, ours or "ok"))
    end
  end
  assert(k == count)
  judge(("verdicts on damaged files (%d are good)"):format(fine), wrong, count)
end

-- ==== values of all types, and shards ==========================================================

local function same(a, b)
  for i, v in ipairs(b) do
    if not (a[i] == v or a[i] ~= a[i] and v ~= v) then return false end
  end
  return #a == #b
end

local function check_values()
  assert(os.execute(python .. "wide " .. folder))
  local ours, theirs = assert(d.load(folder .. "/types")), assert(d.load(folder .. "/wide"))
  local wrong, of = 0, 0
  for name, wide in pairs(theirs) do
    local x = ours[name]
    of = of + 1
    if not same(x:flatten():totable(), wide:flatten():totable()) then
      wrong = wrong + 1
      print(name .. " has other values")
    end
  end
  judge("types of tensors", wrong, of)
end

local function check_shards()
  local tensors, wrong, of = {}, 0, 0
  for k = 1, 40 do tensors["t" .. k * 7 % 41] = d.randn(k * 5 % 13, 3, { seed = k }) end
  assert(d.save(folder .. "/whole.safetensors", tensors))
  assert(os.execute(("mkdir '%s/theirs' '%s/ours'"):format(folder, folder)))
  assert(os.execute(python .. "split " .. folder))
  assert(shards.save(folder .. "/ours/m", tensors, { max_shard_size = 300, metadata = { format = "pt" } }))
  for _, name in ipairs(assert(core.list(folder .. "/theirs"))) do
    of = of + 1
    local theirs = child.read(folder .. "/theirs/" .. name)
    if name:find "json$" then theirs = theirs .. "\n" end -- as diffusers writes it
    if child.read(folder .. "/ours/" .. name) ~= theirs then
      wrong = wrong + 1
      print(name .. " differs")
    end
  end
  judge("shards and their index", wrong, of)
end

check_writer(300)
check_values()
check_shards()
check_reader(20000)
child.remove(folder)
os.exit(failed == 0)
