-- Checks the English of comments, messages and pages. By hand, from the project's root:
--   lua5.4 spec/support/english.lua csrc/base README.md
-- prints what is wrong, and the mean length of the sentences.
local prose = dofile "spec/support/prose.lua"

local M = {
  longest = 25,   -- words in a sentence
  mean = 14,      -- words a sentence, in a file with at least `few` sentences
  few = 10,
  title = 12,     -- words in a sentence without a verb, as in the first line of a file
  columns = 90,   -- in a line of C
}

-- ==== sentences ==============================================================================

local abbreviations = { "e%.g", "i%.e", "et al", "cf", "vs", "[Ee]qs?", "[Ff]igs?", "algs?", "sec", "app",
  "approx", "resp", "no", "ch", "pp?" }

local DOT = "\1"   -- stands for a full stop that ends nothing

local function protect(text)
  text = text:gsub("`[^`]*`", "CODE"):gsub("https?://[^%s)]*[^%s).,]", "LINK")
  for _, word in ipairs(abbreviations) do
    text = text:gsub("%f[%w](" .. word .. ")%.", function(found) return found:gsub("%.", DOT) .. DOT end)
  end
  text = text:gsub("%f[%w](%u)%. %f[%u]", "%1" .. DOT .. " ")   -- initials: "D. P. Kingma"
  text = text:gsub("%.%.+", function(dots) return DOT:rep(#dots) end)
  return (text:gsub("%s+", " "))
end

--- Splits a passage into sentences.
---@param text string
---@return string[] sentences
function M.sentences(text)
  local list = {}
  local rest = protect(text):gsub("([.?!][\"')*]*)%s", "%1\2") .. "\2"
  for sentence in rest:gmatch "([^\2]*)\2" do
    sentence = sentence:gsub(DOT, "."):gsub("^[%s*(\"']+", "")
    if sentence:find "%a%a" then list[#list + 1] = sentence end
  end
  return list
end

-- The words of a sentence. Numbers, symbols and formulas such as "x_t = a_t" don't count.
local function words_of(sentence)
  local words = {}
  for token in sentence:gmatch "%S+" do
    token = token:gsub("^[%p]+", ""):gsub("[%p]+$", "")
    local plain = token:find "^%a[%a'-]*$" and (#token > 1 or token:find "[aAI]")
    if plain or token:find "^[%a_][%w_.:]*$" and token:find "%a%a" then words[#words + 1] = token end
  end
  return words
end

M.words = words_of

-- ==== verbs ==================================================================================

local function set_of(text)
  local set = {}
  for word in text:gmatch "%S+" do set[word] = true end
  return set
end

local finite = set_of [[
am is are was were be been isn't aren't wasn't weren't has have had hasn't haven't do does did don't doesn't didn't
can can't cannot could couldn't may might must mustn't shall should shouldn't will won't would wouldn't let's
came fell gave got grew knew made ran saw stood took went wrote began became held kept lost meant met said sent
told thought]]

-- Verbs by their base form. As a noun, "block" or "step" makes a fragment pass: only what is
-- surely without a verb is found.
local bases = set_of [[
accept add advance agree align allocate allow answer append apply ask assign average avoid become begin belong
bind block bound break bring build bump bypass cache call carry cast catch change check choose clamp clear
clip close collect combine come compare compile complete compose compute consist contain continue converge
convert copy correct correspond cost count cover create cross cut decide declare decode decrease define delay
delete depend derive describe detach detect determine differ disable discard divide document double draw drop
emit enable encode end enter equal estimate evaluate exceed exclude exist expand expect extend fail fall feed
fetch fill find finish fit flush follow force forget fork form format free freeze generate get give go grow
guarantee guard handle happen have help hide hold ignore implement improve include increase index inherit
initialise insert install integrate interleave interpolate interrupt invert join jump keep know lack last
launch lead leave lie limit line link list live load lock look loop lose lower make map mark mask match matter
mean measure meet merge miss mix modify move multiply name need normalise note obtain occur open order
overflow overlap overwrite own pack pad parse partition pass pay perform permit pick place plot point pop
precede predict prefer prepare preserve prevent print process produce propagate protect prove publish pull
push put quantise raise ramp reach read rebuild receive recompute record recurse reduce refer refuse register
reject release rely remain remember remove rename repeat replace report represent require reserve reset resize
resolve restart restore restrict result resume retry return reuse reverse rewind round run sample satisfy save
say scale schedule search see select send separate set share shift show shrink shuffle sit skip sleep solve
sort spawn specify spend spin split stack stand start state stay step stop store stride subtract suffice sum
support suppose swap switch sync take tell tend terminate test tie touch track train transform transpose treat
trigger trim truncate turn underflow undo unite unlock unpack update upset use validate vanish vary verify
visit wait wake walk want warn wrap write yield zero]]

local function is_verb(word)
  word = word:lower()
  if finite[word] or bases[word] then return true end
  local stem = word:match "^(.-)s$"
  return stem and (bases[stem] or bases[stem:match "^(.-)e$" or ""] or bases[(stem:gsub("ie$", "y"))])
end

local function has_verb(words)
  for _, word in ipairs(words) do
    if is_verb(word) then return true end
  end
  return false
end

-- ==== the rules ==============================================================================

local openings = { "of", "what", "whatever", "where", "whose" }

-- Each rule has a pattern, which matches whole words, and the words to use instead. `but`
-- lists ordinary uses of the pattern.
local private = {
  { "told", "conditioned on, reported", but = { "told apart" } },
  { "belie[vf]%w*", "predicted" },
  { "way back", "backward pass" },
  { "roads?", "trajectory, path" },
  { "sick", "NaN" },
  { "made again", "recomputed" },
  { "made anew", "recomputed" },
  { "anew", "again" },
  { "guests?", "custom op" },
  { "beside", "next to" },
  { "by heart", "memorised" },
  { "mend%w*", "fix" },
  { "homes?", "parameter buffer", but = { "home director", "home folder", "home page" } },
  { "asked about", "evaluated at" },
  { "lets? go of", "releases" },
  { "nobody", "nothing, no caller" },
  { "everybody", "all, every thread" },
}

local function opening_fault(sentence, kind)
  local first = sentence:match "^%a+"
  if not first or kind == "cell" or sentence:find "%?$" or sentence:find "^%a+: " then return nil end
  for _, word in ipairs(openings) do
    if first:lower() == word then return ("begins with %q"):format(first) end
  end
end

local function without(text, phrases)
  for _, phrase in ipairs(phrases or {}) do text = text:gsub(phrase, "") end
  return text
end

local function private_fault(sentence)
  local text = " " .. sentence:lower() .. " "
  for _, rule in ipairs(private) do
    local pattern = "%f[%w_.:/-]" .. rule[1] .. "%f[^%w_-]"
    local found = text:find(rule[1]) and without(text, rule.but):match(pattern)
    if found then return ("%q: better %s"):format(found, rule[2]) end
  end
end

local function length_fault(words)
  if #words > M.longest then return ("%d words, at most %d"):format(#words, M.longest) end
end

local function verbless_fault(words, kind)
  if kind == "text" and #words > M.title and not has_verb(words) then return "has no verb" end
end

-- ==== files ==================================================================================

local function wide_lines(path, text, faults)
  if not path:find "%.[ch]$" then return end
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    local columns = #line > M.columns and (utf8.len(line) or #line) or 0
    if columns > M.columns then
      faults[#faults + 1] = ("%s:%d: %d columns, at most %d"):format(path, number, columns, M.columns)
    end
  end
end

local function excepted(exceptions, sentence)
  for _, start in ipairs(exceptions or {}) do
    if sentence:sub(1, #start) == start then return true end
  end
  return false
end

-- Calls visit(sentence, words, kind, line) for each sentence; the kind of a label is its
-- first sentence's alone.
local function each_sentence(path, text, visit)
  for _, passage in ipairs(prose.passages(path, text)) do
    local kind = passage.kind
    for _, sentence in ipairs(M.sentences(passage.text)) do
      visit(sentence, words_of(sentence), kind, passage.line)
      if kind == "label" then kind = "text" end
    end
  end
end

local function wanted(path, kind) return not (kind == "message" and path:find "^spec/") end

local function new_count() return { sentences = 0, words = 0 } end

local function mean_fault(name, count)
  local mean = count.words / math.max(count.sentences, 1)
  if count.sentences < M.few or mean <= M.mean then return nil end
  return ("%s: a mean of %.1f words a sentence, at most %g"):format(name, mean, M.mean)
end

--- Checks one file.
---@param path string
---@param text string
---@param exceptions string[]|nil beginnings of sentences that are let be
---@return string[] faults "path:line: fault: sentence"
---@return table count sentences and words of whole sentences
function M.check(path, text, exceptions)
  local faults, count = {}, new_count()
  each_sentence(path, text, function(sentence, words, kind, line)
    if not wanted(path, kind) or excepted(exceptions, sentence) then return end
    if kind == "text" then count.sentences, count.words = count.sentences + 1, count.words + #words end
    for _, fault in ipairs { length_fault(words) or false, opening_fault(sentence, kind) or false,
      private_fault(sentence) or false, verbless_fault(words, kind) or false } do
      if fault then faults[#faults + 1] = ("%s:%d: %s: %s"):format(path, line, fault, sentence) end
    end
  end)
  faults[#faults + 1] = mean_fault(path, count)
  wide_lines(path, text, faults)
  return faults, count
end

-- Generated files, and scripts as users wrote them.
local unread = { "reference%.lua$", "library/diffusion%.d%.lua$", "^spec/fixtures/" }

local function is_read(path)
  for _, pattern in ipairs(unread) do
    if path:find(pattern) then return false end
  end
  local name = path:match "[^/]+$"
  return name:find "%.[ch]$" or name:find "%.lua$" or name:find "%.md$" or name:find "%.py$" or name == "Makefile"
    or path:find "^%.ci/" or name == ".busted" or name == ".luacheckrc"
end

--- The files at a path that the check reads.
---@param place string a file or a folder
---@return string[] paths
function M.files(place)
  local paths = {}
  local pipe <close> = assert(io.popen(("find '%s' -type f | sort"):format(place)))
  for path in pipe:lines() do
    if is_read(path) then paths[#paths + 1] = path end
  end
  return paths
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- Checks files and folders.
---@param places string[]
---@param exceptions table<string, string[]>|nil by path
---@return string[] faults
---@return table count
function M.check_all(places, exceptions)
  local faults, total = {}, new_count()
  for _, place in ipairs(places) do
    for _, path in ipairs(M.files(place)) do
      local more, count = M.check(path, read(path), exceptions and exceptions[path])
      table.move(more, 1, #more, #faults + 1, faults)
      total.sentences, total.words = total.sentences + count.sentences, total.words + count.words
    end
  end
  return faults, total
end

if arg and arg[0] and arg[0]:find "english%.lua$" and arg[1] then
  local faults, count = M.check_all(arg)
  for _, fault in ipairs(faults) do print(fault) end
  print(("%d faults; %d sentences, %.1f words each"):format(#faults, count.sentences,
    count.words / math.max(count.sentences, 1)))
  os.exit(#faults == 0)
end

return M
