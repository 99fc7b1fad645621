-- The parsers that spec/fuzz/parsers.lua runs. A new parser is one row:
--   name
--   seeds()      list of good texts
--   words        words of the format, which the damage puts in
--   read(bytes)  calls the parser: a value, or nil and a sentence
--   wrap(text)   makes the file of a damaged text, if only a part of the file is damaged
--   room, core   bytes that it may take whatever the file; bytes of tensors for each of the file's
local d = require "diffusion"
local child = dofile "spec/support/child.lua"
local embedding = require "diffusion.hub.embedding"
local csv = require "diffusion.file.csv"
local forge = require "spec.support.forge"
local gguf_file = require "spec.support.gguf_file"
local header = require "diffusion.file.safetensors_header"
local hub = require "spec.support.hub_folder"
local json = require "diffusion.file.json"
local literal = require "diffusion.file.python_literal"
local parser = require "diffusion.file.parser"
local plain = require "diffusion.file.plain"
local small_font = require "spec.support.small_font"
local word_files = require "diffusion.text.files"
local png_text = require "diffusion.file.png_text"
local core = require "diffusion.core"
local keys = dofile "spec/fuzz/keys.lua"
local pickled = dofile "spec/fuzz/pickled.lua"

-- Files are in memory where that is possible: some parsers flush what they write to the disk.
local function make_folder()
  local folder = child.folder()
  local quick = "/dev/shm" .. folder:match "/[^/]+$"
  if not os.execute(("mkdir '%s' 2>/dev/null"):format(quick)) then return folder end
  child.remove(folder)
  return quick
end

local folder = make_folder()
local function at(name) return folder .. "/" .. name end

-- Removes the folder when the process ends.
local guard <const> = setmetatable({}, { __gc = function() child.remove(folder) end }) -- luacheck: ignore
_G.fuzz_guard = guard

-- The path of a new file with these bytes. Each case replaces the file, since the last one's may
-- still be mapped.
local function written(name, bytes)
  os.remove(at(name))
  child.write(at(name), bytes)
  return at(name)
end

-- Reads all tensors of a file by name.
local function all_of(tensors, message)
  if not tensors then return nil, message end
  if core.is_tensor(tensors) then return tensors:shape() end
  local n = 0
  for _, x in pairs(tensors) do n = n + #x:shape() end
  return n
end

local BRACKETS = { "{", "}", "[", "]", "(", ")", ",", ":", '"', "'", " ", "\n", "\\", "\0", "\xff", "null", "true",
  "NaN", "Infinity", "\\u0061", "\\ud83d", "\\ude00", ("["):rep(80), ('{"a":'):rep(80) }

-- These words, and brackets.
local function words(...)
  local list = { ... }
  return table.move(BRACKETS, 1, #BRACKETS, #list + 1, list)
end

-- ==== safetensors ================================================================================

local types = { "F32", "F64", "F16", "BF16", "U8", "I64", "BOOL", "I8", "I16", "U16", "I32", "U32", "U64", "F8_E4M3",
  "F8_E5M2", "F8_E8M0", "C64", "F4", "F6_E2M3", "I33" }

local function safetensors_seeds()
  return {
    forge.safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
      .. '"b":{"dtype":"I8","shape":[2,2],"data_offsets":[8,12]}}', ("\1"):rep(12)),
    forge.safetensors('{"__metadata__":{"a":"b"},"b":{"dtype":"BOOL","shape":[],"data_offsets":[4,5]},'
      .. '"a":{"shape":[4,2],"dtype":"F4","data_offsets":[0,4]}}', ("\1"):rep(5)),
    forge.safetensors(' {"\\u0061": {"dtype": "U8", "shape": [0, 3], "data_offsets": [0, 0]}} '),
    forge.safetensors('{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]},'
      .. '"b":{"dtype":"U64","shape":[1],"data_offsets":[8,16]}}', ("\1"):rep(16)),
  }
end

-- ==== files of the library =======================================================================

-- A file of this kind with these tensors, whose facts are a damaged text.
local function container(kind, tensors)
  local list, parts = {}, {}
  for name, x in pairs(tensors) do
    list[#list + 1] = { name = name, dtype = ({ f32 = "F32", f64 = "F64", i64 = "I64" })[x:dtype()], shape = x:shape() }
  end
  return function(facts)
    local text = utf8.len(facts) and facts or facts:gsub("[\128-\255]", "?")
    parts[1] = header.write(list, { format = "diffusion", version = "1", kind = kind, facts = text })
    for i, t in ipairs(list) do parts[i + 1] = tensors[t.name]:bytes() end
    return table.concat(parts)
  end
end

-- The facts of a file that the library wrote, and the rest of it.
local function parts_of(path)
  local tensors, metadata = assert(d.load(path))
  return metadata.facts, tensors
end

local small = d.mlp { hidden = 4, depth = 1, classes = 2 }
local process = d.process { schedule = d.schedule.cosine { T = 8 }, predict = "v" }

local function saved_model(model)
  assert(model:save(at "good", { process = process }))
  return parts_of(at "good")
end

local mlp_facts, mlp_tensors = saved_model(small)
local unet_facts, unet_tensors = saved_model(d.unet { image = { 4, 4, 1 }, channels = 4, mult = { 1 }, blocks = 1,
  groups = 2 })

local MARKS = { '"\\u0001pairs"', '"\\u0001shared"', '"\\u0001again"', '"\\u0001bytes"', '"\\u0001nan"',
  '"\\u0001tensor"', '["\\u0001shared",1,"a",["\\u0001again",1]]', "1e300", "-1", "4611686018427387904" }
local MODEL_WORDS = words("mlp", "unet", "dit", '"kind"', '"model"', '"process"', '"schedule"', '"linear"', '"cosine"',
  '"x0"', '"eps"', '"depth"', '"hidden"', "false", table.unpack(MARKS))

local function load_model(bytes)
  local model, message = d.load_model(written("model", bytes))
  return model and tostring(model), message
end

local function sampling()
  return d.sampler.steps { model = function(x) return x * 0.5 end, process = process, shape = { 2, 3 }, steps = 4,
    seed = 1, sampler = "dpmpp_2m" }
end

local run = sampling()
run()
run()
assert(run:save(at "run"))
local run_facts, run_tensors = parts_of(at "run")

local opt = d.adamw(small, { lr = 0.1 })
assert(d.checkpoint { path = at "checkpoint", model = small, opt = opt }:save { note = { 1, 2.5, "x" } })
local checkpoint_facts, checkpoint_tensors = parts_of(at "checkpoint")

local average = d.ema(small, { decay = { "power" } })
average:update()
assert(average:snapshot(at "snapshot"))
local snapshot_facts, snapshot_tensors = parts_of(at "snapshot")

-- ==== folders of diffusers =======================================================================

hub.write(at "hub", hub.pipeline())
d.warnings(false)

-- A row for one description of such a folder.
local function description(name, path, ...)
  local whole, seeds = child.read(at "hub/" .. path), { ... }
  seeds[#seeds + 1] = whole
  return { name = "hub_" .. name, room = 64 << 20,
    words = words("_class_name", "_use_default_values", '"unet"', "DDIMPipeline", "LDMPipeline", "[null]", '"relu"',
      "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", '"trailing"', '"v_prediction"', "-Infinity",
      "1e999"),
    seeds = function() return table.move(seeds, 1, #seeds, 1, {}) end,
    read = function(bytes)
      written("hub/" .. path, bytes)
      local pipe, message = d.hub.load(at "hub")
      written("hub/" .. path, whole)
      return pipe and tostring(pipe), message
    end }
end

-- ==== tokenizers =================================================================================

local MODEL = '{"type":"BPE","end_of_word_suffix":"</w>","vocab":{"a":0,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,'
  .. '"<|endoftext|>":4,"!":5},"merges":["a b</w>"]}'
local WORDS = '{"content":"<x>","lstrip":true,"rstrip":false,"normalized":true,"single_word":false,"special":true}'

-- The files of a folder, and tokenizer.json with a folder of its own.
local TOKENIZER = {
  ["tokens/vocab.json"] = MODEL:match '"vocab":({.-})',
  ["tokens/merges.txt"] = "#version: 0.2\na b</w>\n",
  ["tokens/tokenizer_config.json"] = '{"pad_token":"!","eos_token":{"__type":"AddedToken","content":"<|endoftext|>",'
    .. '"normalized":true},"additional_special_tokens":["<y>"],"model_max_length":77}',
  ["tokens/special_tokens_map.json"] = '{"cls_token":' .. WORDS .. ',"pad_token":"!"}',
  ["tokens/added_tokens.json"] = '{"<word>":6,"Word":7}',
  ["token/tokenizer.json"] = '{"added_tokens":[' .. WORDS:gsub("}$", ',"id":6}') .. '],"model":' .. MODEL .. "}",
  ["words/tokenizer.json"] = word_files.of(d.tokenizer { words = { "a", "ab" } })["tokenizer.json"],
  ["token/tokenizer_config.json"] = '{"added_tokens_decoder":{"6":' .. WORDS .. '},"pad_token":"<x>"}',
}
assert(os.execute(("mkdir '%s' '%s' '%s'"):format(at "tokens", at "token", at "words")))
for name, text in pairs(TOKENIZER) do written(name, text) end

-- A row for one of these files.
local function tokenizer(name, path)
  return { name = "tokenizer_" .. name, room = 4 << 20,
    words = words("a b</w>", "b</w> a", "ab</w>", "<|endoftext|>", "#version", "\n",
      "added_tokens_decoder", "normalized", "special", "single_word", '"content"', "merges", "1048576", "[null]", '""'),
    seeds = function() return { TOKENIZER[path] } end,
    read = function(bytes)
      written(path, bytes)
      local tok, message = d.tokenizer(at(path:match "^[^/]+"))
      written(path, TOKENIZER[path])
      return tok and { tok "a ab!<x> <word>\u{1F600}", tok:decode { 0, 1, 2 } }, message
    end }
end

-- ==== adapters ===================================================================================

-- A file of adapters of a linear layer, whose header is a damaged text.
local adapted = d.nn.model(d.nn.linear(3, 2))
local ADAPTERS = { '{"__metadata__":{"lora_adapter_metadata":"{\\"unet.lora_alpha\\":2,\\"unet.alpha_pattern\\":'
  .. '{\\"^a\\":1}}"},"unet.lora_A.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},'
  .. '"unet.lora_B.weight":{"dtype":"F16","shape":[2,2],"data_offsets":[24,32]},'
  .. '"unet.alpha":{"dtype":"F32","shape":[],"data_offsets":[32,36]}}' }
local ADAPTER_WORDS = words("lora_A", "lora_B", "lora_down", "lora_up", "lora_unet_", "unet.", "processor.to_q_lora",
  "alpha", "rank_pattern", "use_dora", '"BOOL"', '"C64"', "[2,3,1,1]", "[0]", "1e999", "null")

-- ==== training's files ===========================================================================

-- A table of captions for a folder of two pictures.
assert(os.execute(("mkdir '%s'"):format(at "pictures")))
for _, name in ipairs { "a", "b" } do assert(d.image.save(at("pictures/" .. name .. ".png"), d.zeros(1, 1, 1))) end

local function captions(ending, ...)
  local seeds = { ... }
  return { name = "captions_" .. ending, room = 4 << 20,
    words = words("file_name", "text", "a.png", "b.png", "\t", '""', "\r\n", "\xef\xbb\xbf"),
    seeds = function() return table.move(seeds, 1, #seeds, 1, {}) end,
    read = function(bytes)
      local set, message = d.data.folder(at "pictures", { captions = written("table." .. ending, bytes), skip = true })
      return set and set.captions, message
    end }
end

-- A set of latents, whose facts are a damaged text.
local latents = { ["mean.1"] = d.zeros(2, 1, 1, 4), ["std.1"] = d.ones(2, 1, 1, 4), ["mean.2"] = d.zeros(1, 1, 2, 4),
  caption = d.tensor({ 1, 2, 1 }, { dtype = "i64" }), ["text.context"] = d.zeros(2, 3, 4),
  ["none.context"] = d.zeros(1, 3, 4) }
local latent_facts = json.encode(plain.pack({ n = 3, name = "set", texts = { "a", "b" }, sums = { vae = "1" },
  sizes = { { 8, 8 }, { 8, 8 }, { 8, 16 } }, buckets = { { n = 2, height = 8, width = 8, members = { 1, 3 },
  crops = { { 0, 0 }, { 0, 0 } } }, { n = 1, height = 8, width = 16, members = { 2 } } } }, "seed"))

local function encoded_set(bytes)
  local set, message = assert(d.load_pipeline "digits"):encode_set(nil, { path = written("latents", bytes) })
  if not set then return nil, message end
  local batches = set:batches { size = 2, epochs = 1, seed = 1 }
  for _, x0 in batches do assert(x0:dim() == 4) end
  return #batches.captions
end

-- ==== the table ==================================================================================

return {
  { name = "safetensors", words = words('"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', table.unpack(types)),
    seeds = safetensors_seeds,
    read = function(bytes) return all_of(d.load(written("a.safetensors", bytes), { dtype = "f32" })) end },

  { name = "gguf", words = { "GGUF", ("<I8"):pack(1 << 40), ("<I8"):pack(-1), ("<I4"):pack(8), ("<I4"):pack(9),
      "general.alignment", "\32\0\0\0", "\0\0\0\0" },
    seeds = function()
      return { (gguf_file.of({ a = d.ones(2, 32), b = d.zeros(3), c = d.zeros(2, 3, 4, 1):to "f16" }, "q8_0")),
        (gguf_file.of({ a = d.ones(1, 64) }, "q4_0")),
        gguf_file.bytes { version = 2, entries = { gguf_file.entry("i", { 3 }, 24, 0) }, data = "abc", alignment = 64,
          facts = { gguf_file.fact("general.alignment", 4, 64), gguf_file.fact("l", 9, { 8, { "x", "" } }),
            gguf_file.fact("n", 9, { 12, { 1, 2 } }), gguf_file.fact("b", 7, 1) } } }
    end,
    read = function(bytes) return all_of(d.load(written("a.gguf", bytes), { dtype = "f32" })) end },

  { name = "index", words = words('"weight_map"', '"metadata"', '"total_size"', "one.safetensors", "../"),
    seeds = function()
      child.write(at "one.safetensors", safetensors_seeds()[1])
      return { '{"metadata":{"total_size":12},"weight_map":{"a":"one.safetensors","b":"one.safetensors"}}' }
    end,
    read = function(bytes) return all_of(d.load(written("index.json", bytes))) end },

  { name = "json", words = words("-Infinity", "1e999", "/*", "//", "-0", "1e-999", "\\u0000"),
    seeds = function()
      return { '{"a": [1, 2.5e3, -Infinity, NaN], "b": {"c": null, "d": true}, "e": "\\u00e9\\n\\ud83d\\ude00"}',
        '[[], {}, "", 0, -1, 1e300]', '{"_class_name": "DDPMScheduler", "lambda_min_clipped": -Infinity}' }
    end,
    read = json.decode },

  { name = "python_literal", words = words("True", "False", "None", "L", "'a'", "-"),
    seeds = function() return { "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
      "[('a', '<f4'), ('b', '<i2', (2, 3)), (('t', 'c'), '|u1')]" } end,
    read = function(text) return parser.run(literal.read, text) end },

  { name = "npy",
    words = words("<f4", ">i2", "|b1", "<c8", "|O", "<U5", "'descr'", "'shape'", "'fortran_order'", "True"),
    seeds = function()
      return { forge.npy("<f4", "(2, 3)", ("\1"):rep(24)), forge.npy(">i2", "(3,)", ("\1"):rep(6), { version = 2 }),
        forge.npy("|b1", "(2, 1)", "\1\0", { fortran = true }) }
    end,
    read = function(bytes)
      local x, message = d.data.arrays(written("a.npy", bytes))
      return x and x:shape(), message
    end },

  { name = "npz", core = 2064,
    words = words("PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", "\xff\xff\xff\xff", ".npy"),
    seeds = function()
      local one, two = forge.npy("<f4", "(2, 3)", ("\1"):rep(24)), forge.npy("|u1", "(3,)", "abc")
      return { forge.zip { { "x.npy", one }, { "y.npy", two, true } },
        forge.zip { { "n", "text" }, { "x.npy", one, true } } }
    end,
    read = function(bytes) return all_of(d.data.arrays(written("a.npz", bytes))) end },

  { name = "set", words = words("PK\1\2", "x.npy", "labels.npy", "class.npy", "<i8", "|u1"), core = 2064,
    seeds = function()
      local x, labels = forge.npy("|u1", "(2, 2, 2)", "abcdefgh"), forge.npy("<i8", "(2,)", ("<i8i8"):pack(0, 3))
      return { forge.zip { { "x.npy", x }, { "labels.npy", labels } } }
    end,
    read = function(bytes)
      local set, message = d.data.npy(written("set.npz", bytes))
      return set and set.n, message
    end },

  { name = "idx", words = { "\0\0\8\1", "\0\0\8\3", "\x1f\x8b", "\xff\xff\xff\xff" }, core = 1032,
    seeds = function()
      local whole = forge.idx({ 2, 2, 3 }, "abcdefghijkl")
      return { whole, forge.gzip(whole) }
    end,
    read = function(bytes)
      local set, message = d.data.idx(written("a.idx", bytes))
      return set and set.n, message
    end },

  { name = "picture", core = 64 * 1032, room = 64 << 20,
    words = { "IHDR", "IDAT", "tEXt", "eXIf", "tRNS", "PLTE", "acTL", "\xff\xd8", "\xff\xd9", "Exif\0\0" },
    seeds = function()
      return { forge.png(3, 8, 2, { ("abc"):rep(3), ("def"):rep(3) }), forge.bytes_of "spec/fixtures/ramp.jpg" }
    end,
    read = function(bytes)
      local x, message = d.image.load(written("a.png", bytes))
      return x and x:shape(), message
    end },

  { name = "png_text", words = { "tEXt", "\0", "IEND" },
    seeds = function() return { forge.png(1, 8, 0, { "a" }, forge.chunk("tEXt", "key\0value")) } end,
    read = function(bytes) return png_text.read(assert(core.map(written("text.png", bytes)))) end },

  { name = "pickle", words = pickled.words, wrap = pickled.file, seeds = pickled.seeds,
    read = function(bytes)
      local path, out = written("a.pt", bytes), {}
      for i, o in ipairs { { key = "" }, { raw = true }, {} } do
        local value, message = d.load(path, o)
        out[i] = value and (o.raw and true or all_of(value)) or message
      end
      return type(out[1]) ~= "string" and out[1] or nil, out[1]
    end },

  { name = "pt", words = { "PK\1\2", "PK\3\4", "PK\5\6", "PK\6\6", "\xff\xff\xff\xff", "data.pkl", "byteorder", "big",
      table.unpack(pickled.words) },
    seeds = function()
      local list = {}
      for i, name in ipairs { "views", "types", "checkpoint5", "module", "opaque" } do
        list[i] = forge.bytes_of(("spec/fixtures/peers/pt/%s.pt"):format(name))
      end
      return list
    end,
    read = function(bytes) return all_of(d.load(written("a.pt", bytes), { key = "" })) end },

  { name = "foreign", words = keys.words, wrap = keys.file, seeds = keys.seeds, room = 64 << 20,
    read = function(bytes)
      local pipe, message = keys.load(keys.write(at "b.safetensors", bytes), bytes)
      return pipe and tostring(pipe), message
    end },

  { name = "csv", words = { "1,", "\n", "99999999999999999999,", "-1,", "nan,", "1e5," },
    seeds = function() return { "step,loss\n1,0.5\n2,0.25\n3,0.125\n" } end,
    read = function(bytes)
      local log, message = csv.log(written("log.csv", bytes), "step,loss\n", 2)
      if log then log:close() end
      return log and true, message
    end },

  { name = "generator", words = { "\0\0\0\0", "\xff\xff\xff\xff", ("\0"):rep(64) },
    seeds = function()
      local g = d.generator { kind = "torch", seed = 1 }
      return { g:state(), g:randn(3) and g:state(), d.generator { seed = 2 }:state() }
    end,
    read = function(bytes)
      local last = "no kind"
      for _, kind in ipairs { "torch", "philox" } do
        local g = d.generator { kind = kind, seed = 3 }
        local fine, message = pcall(g.set_state, g, bytes) -- wrong bytes are an error
        if fine then return g:randn(700) and true end
        last = message
      end
      return nil, last
    end },

  { name = "plain", words = MODEL_WORDS,
    seeds = function()
      local again = { 1, 2 }
      return { json.encode(plain.pack({ a = again, b = again, c = { [2] = "x" }, e = 0 / 0, f = "\xff" }, "seed")) }
    end,
    read = function(text)
      local value, message = json.decode(text)
      if type(value) ~= "table" then return nil, message or "no table" end
      return plain.unpack(value, { x = d.zeros(1) })
    end },

  { name = "mlp", words = MODEL_WORDS, room = 64 << 20, wrap = container("model", mlp_tensors),
    seeds = function() return { mlp_facts } end, read = load_model },

  { name = "unet", words = MODEL_WORDS, room = 64 << 20, wrap = container("model", unet_tensors),
    seeds = function() return { unet_facts } end, read = load_model },

  { name = "adapters", words = ADAPTER_WORDS, seeds = function() return { table.unpack(ADAPTERS) } end,
    wrap = function(text) return forge.safetensors(text, ("\0\0\x80\x3f"):rep(9)) end,
    read = function(bytes)
      local lora, message = d.nn.lora(adapted, { load = written("adapters", bytes) })
      return lora and lora:remove() and true, message
    end },

  captions("csv", 'file_name,text\na.png,"x, ""y""\nz"\nb.png,\n', "a.png,x\r\nb.png,y"),
  captions("tsv", 'a.png\tan "A"\nb.png\tbe\n'),
  captions("jsonl", '{"file_name": "a.png", "text": "x"}\n\n{"file_name": "b.png", "caption": "\\u00e9"}\n'),

  { name = "encoded_set", words = MODEL_WORDS, room = 64 << 20, wrap = container("encoded set", latents),
    seeds = function() return { latent_facts } end, read = encoded_set },

  { name = "embedding",
    words = words('"<x>"', "emb_params", "clip_l", "clip_g", "string_to_param", table.unpack(types)),
    seeds = function()
      return { forge.safetensors('{"<x>":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}', ("\1"):rep(8)),
        forge.safetensors('{"clip_l":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},'
          .. '"clip_g":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}}', ("\1"):rep(8)) }
    end,
    read = function(bytes)
      local found, message = embedding.read(written("word.safetensors", bytes))
      return found and (found.text or found.text2):shape(), message
    end },

  { name = "embedding_pt", words = pickled.vector_words, wrap = pickled.file, seeds = pickled.vectors,
    read = function(bytes)
      local found, message = embedding.read(written("word.pt", bytes))
      return found and (found.text or found.text2):shape(), message
    end },

  { name = "run", words = MODEL_WORDS, wrap = container("run", run_tensors),
    seeds = function() return { run_facts } end,
    read = function(bytes) return sampling():load(written("run", bytes)) end },

  { name = "checkpoint", words = MODEL_WORDS, wrap = container("checkpoint", checkpoint_tensors),
    seeds = function() return { checkpoint_facts } end,
    read = function(bytes)
      return d.checkpoint { path = written("checkpoint", bytes), model = small, opt = opt }:load()
    end },

  description("index", "model_index.json"),
  description("config", "unet/config.json"),
  description("scheduler", "scheduler/scheduler_config.json",
    '{"_class_name":"DDPMScheduler","_use_default_values":["thresholding"],"beta_end":0.02,"beta_schedule":"linear",'
    .. '"beta_start":0.0001,"clip_sample":true,"clip_sample_range":1.0,"lambda_min_clipped":-Infinity,'
    .. '"num_train_timesteps":1000,"prediction_type":"epsilon","rescale_betas_zero_snr":false,"steps_offset":0,'
    .. '"timestep_spacing":"leading","trained_betas":null,"variance_type":"fixed_small"}'),

  tokenizer("vocab", "tokens/vocab.json"),
  tokenizer("merges", "tokens/merges.txt"),
  tokenizer("config", "tokens/tokenizer_config.json"),
  tokenizer("map", "tokens/special_tokens_map.json"),
  tokenizer("added", "tokens/added_tokens.json"),
  tokenizer("json", "token/tokenizer.json"),
  tokenizer("decoder", "token/tokenizer_config.json"),
  tokenizer("words", "words/tokenizer.json"),

  { name = "font", words = { "CBDT", "CBLC", "GSUB", "cmap", "\0\0\0\0", "\xff\xff", "\xff\xff\xff\xff" },
    seeds = function() return { small_font.bytes(), small_font.bytes { components = 2 } } end, room = 4 << 20,
    core = 64 * 1032,
    read = function(bytes)
      return d.data.emoji { size = 2, font = written("font.ttf", bytes), list = written("list.txt", small_font.list) }
    end },

  { name = "emoji_list", words = { "# group: ", "# subgroup: ", "fully-qualified", " ; ", "1F34E", "E1.0", "\xff" },
    seeds = function() return { small_font.list } end, room = 4 << 20, core = 64 * 1032,
    read = function(bytes)
      local font = written("font.ttf", small_font.bytes())
      return d.data.emoji { size = 2, font = font, list = written("list.txt", bytes) }
    end },

  { name = "bpe_list", core = 1032,
    words = words("a b</w>", "b", "#version", "\n", "\r", "\x1f\x8b", "\xff\xff\xff\xff"),
    seeds = function()
      local list = "bpe#version: 0.2\na b</w>\na ab</w>\n"
      return { list, forge.gzip(list) }
    end,
    read = function(bytes)
      local tok, message = d.tokenizer(written("list.txt", bytes))
      return tok and tok "a ab", message
    end },

  { name = "snapshot", words = MODEL_WORDS, wrap = container("snapshot", snapshot_tensors),
    seeds = function() return { snapshot_facts } end,
    read = function(bytes) return d.posthoc_ema({ written("snapshot", bytes) }, { sigma_rel = 0.1 }) end },
}
