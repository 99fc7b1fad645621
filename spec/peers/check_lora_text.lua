-- Adapters of text-to-image pipes and learned words: files that we write are read by diffusers, with the same effect.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local check = require "spec.support.peer_check"
local lora_text = require "spec.support.lora_text"

d.precision "highest"
check.limit = 1e-5

local python = assert(os.getenv "PEERS", "PEERS: the folder of the peers, as `make peers` makes it") .. "/bin/python"
local root = os.tmpname()
os.remove(root)
assert(os.execute("mkdir " .. root))

-- The peer's output with a file.
local function theirs(what, kind, path, more)
  assert(os.execute(("%s spec/peers/lora_text.py %s %s %s %s"):format(python, what, kind, path, more or "")))
  return assert(d.load(path .. ".out")).y
end

local function compare(name, ours, other)
  check.line(name, { output = ((ours - other):abs():max() / other:abs():max()):item() })
end

local function stir(lora)
  for name, p in lora:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * 0.3) end
end

-- Kohya's form has one alpha here, since diffusers loses some of several; see lora_text.py.
local function adapters(pipe, form)
  local one = pipe:add_lora { text = true, text_on = { "self_attn", "mlp" }, seed = 1, alpha = 3,
    rank = function(path) return form == "kohya" and 2 or #path % 3 + 1 end,
    on = { "attn", "ff%.", "conv[12]$", "conv_shortcut", "downsamplers", "time_emb_proj", "proj_in", "conv_in" } }
  for _, part in ipairs { one.unet, one.text, one.text2 } do stir(part) end
  return one
end

for _, kind in ipairs { "sd1", "xl" } do
  local pipe = lora_text.pipe(root, kind)
  compare(kind .. ", without adapters", lora_text.output(pipe), assert(d.load(
    "spec/fixtures/peers/lora_text.safetensors"))[kind])
  for _, form in ipairs { "diffusers", "kohya" } do
    local one, path = adapters(pipe, form), ("%s/%s_%s.safetensors"):format(root, kind, form)
    assert(one:save(path, { form = form }))
    compare(("%s, our adapters under the names of %s"):format(kind, form), lora_text.output(pipe),
      theirs("run", kind, path))
    one:remove()
  end
  local folder = ("%s/%s_peft"):format(root, kind)
  local output = theirs("peft", kind, folder)
  assert(pipe:load_lora(folder))
  compare(kind .. ", a folder of peft's own", lora_text.output(pipe), output)
end

local pipe, rows = lora_text.pipe(root, "sd1"), d.randn({ 3, 8 }, { seed = 4 })
local path = root .. "/word.safetensors"
assert(d.save(path, { ["<thing>"] = rows }))
assert(pipe:load_embedding(path))
compare("sd1, a word of ours", lora_text.output(pipe, "a <thing> on the mat, <thing>"),
  theirs("word", "sd1", path, "'<thing>'"))

os.execute("rm -r " .. root)
os.exit(check.failed == 0)
