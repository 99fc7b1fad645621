-- Compares the tokenizer with transformers' CLIPTokenizer, in folders of every kind, on random texts. It compares the
-- tables of characters, too, and measures the times. SEED and COUNT choose the texts. TEXTS is a file of
-- {"text", "ids"} of CLIP's own vocabulary, whose list of merges `make peers` installs.
local d = require "diffusion"
local core = require "diffusion.core"
local json = require "diffusion.file.json"

local python = assert(os.getenv "PEERS", "PEERS: the folder of the peers, as `make peers` makes it") .. "/bin/python"
local script = python .. " spec/peers/tokenizer.py "
local failed = 0

local function output(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read "a":gsub("%s+$", ""))
end

local function report(name, wrong, ...)
  if wrong > 0 then failed = failed + 1 end
  print(("%-12s %s: %s"):format(name, wrong == 0 and "agree" or wrong .. " DIFFER", ("%d texts"):format(...)))
end

local function shown(list) return type(list) == "table" and table.concat(list, " ") or tostring(list) end

-- Our answer about a text, in the form of the peer's.
local function ours(tok, text)
  local ids = tok:encode(text)
  local row = tok(text):totable()[1]
  return { ids = ids, pieces = tok:pieces(text), row = row, decoded = tok:decode(ids),
           kept = tok:decode(row, { special = false }) }
end

local function difference(tok, theirs)
  local mine = ours(tok, theirs.text)
  for name, value in pairs(mine) do
    if shown(value) ~= shown(theirs[name]) then
      return ("  %q\n  %s: %s\n  theirs: %s"):format(theirs.text, name, shown(value), shown(theirs[name]))
    end
  end
end

local function compare_facts(name, tok, theirs)
  local wrong = 0
  for key, value in pairs(theirs) do
    if tok[key] ~= value then
      wrong = wrong + 1
      print(("  %s: %s = %s, theirs %s"):format(name, key, tok[key], value))
    end
  end
  return wrong
end

local function compare(root, name)
  local tok, message = d.tokenizer(("%s/%s"):format(root, name))
  if not tok then
    print("  " .. message)
    return report(name, 1, 0)
  end
  local wrong, count = 0, 0
  for line in io.lines(("%s/%s.jsonl"):format(root, name)) do
    local theirs = assert(json.decode(line))
    if theirs.bos then
      wrong = wrong + compare_facts(name, tok, theirs)
    else
      count = count + 1
      local text = difference(tok, theirs)
      if text and wrong < 5 then print(text) end
      wrong = wrong + (text and 1 or 0)
    end
  end
  report(name, wrong, count)
end

local function compare_texts(path, vocab)
  local file <close> = assert(io.open(path))
  local tok, wrong = assert(d.tokenizer(vocab)), 0
  local list = assert(json.decode(file:read "a"))
  for _, one in ipairs(list) do
    if shown(tok:encode(one.text)) ~= shown(one.ids) then wrong = wrong + 1 end
  end
  report("texts", wrong, #list)
end

local PROMPT = "a highly detailed portrait of an astronaut riding a horse on mars, trending on artstation, 8k"

local function times(path)
  local start = core.clock()
  local tok = assert(d.tokenizer(path))
  local loaded = core.clock() - start
  local words = {}
  start = core.clock()
  for i = 1, 1000 do tok(PROMPT .. " " .. i) end
  words[1] = ("%s: loaded in %.3f s, %.4f ms a prompt"):format(path:match "[^/]+$", loaded, core.clock() - start)
  if core.list(path) then words[2] = ("theirs %s (s, ms)"):format(output(script .. "time " .. path)) end
  print(table.concat(words, "; "))
end

local root = os.tmpname()
os.remove(root)
local vocab = output(script .. "vocab")
if vocab == "" then print "the full vocabulary isn't installed: `make peers` installs it; a small one is used" end
assert(os.execute(("%sfolders %s %s 2>/dev/null"):format(script, root, vocab)))
assert(os.execute(("%srandom %s %s %s 2>/dev/null"):format(script, root, os.getenv "SEED" or 1,
  os.getenv "COUNT" or 500)))
report("characters", os.execute(python .. " spec/peers/unicode.py --check lua/diffusion/text/unicode_tables.lua") and 0
  or 1, 0x110000 - 0x800)
for _, name in ipairs(assert(core.list(root))) do
  if name:sub(-1) == "/" then compare(root, name:sub(1, -2)) end
end
if vocab ~= "" then
  if os.getenv "TEXTS" then compare_texts(os.getenv "TEXTS", vocab) end
  for _, path in ipairs { vocab, root .. "/sd1", root .. "/sd1-saved" } do times(path) end
end
os.execute("rm -r " .. root)
os.exit(failed == 0)
