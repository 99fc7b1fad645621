--- d.help shows the guides and the comments above public functions at the prompt. The latter are in
--- reference.lua, which is made from those comments and loaded on first use.
local core = require "diffusion.core"
local kind = require "diffusion.kind"
local guide = require "diffusion.guide"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local reference = require "diffusion.reference"

local help = {}

-- The overview: all names, by area.
local areas = {
  { "tensors", "tensor zeros ones full arange linspace eye frombytes cat stack where mix linalg" },
  { "random numbers", "randn rand bernoulli randint randperm manual_seed generator" },
  { "gradients", "record grad no_grad scope gradcheck" },
  { "losses", "mse l1 huber cross_entropy objective precondition reflow" },
  { "networks", "network nn" },
  { "noise", "schedule process grid estimate_variance" },
  { "training", "adamw ema posthoc_ema lr trainer checkpoint" },
  { "data", "data" },
  { "text", "tokenizer" },
  { "sampling", "sample sampler guidance edit" },
  { "measuring", "oracle metric likelihood check" },
  { "pictures", "image plot" },
  { "files", "save load load_model load_pipeline hub" },
  { "runtime", "info threads precision memory memory_limit pack_budget profile pp warnings help prompt command" },
}

-- The families of networks that the reference lists join the area "networks".
local families = {}
for name, entry in pairs(reference) do
  if entry.family then families[#families + 1] = name:match "[%w_]+$" end
end
table.sort(families, function(a, b) return a > b end)
areas[5][2] = table.concat(families, " ") .. " " .. areas[5][2]

--- The areas of the overview: a list of { title, names in one string }.
help.areas = areas

local width = 78

local function wrapped(text, indent, first)
  local lines, line = {}, first or indent
  for word in text:gmatch "%S+" do
    if #line + #word > width and line:find "%S" then
      lines[#lines + 1] = line:gsub("%s+$", "")
      line = indent
    end
    line = line .. word .. " "
  end
  lines[#lines + 1] = line:gsub("%s+$", "")
  return table.concat(lines, "\n")
end

--- The type of an option with its range: "integer >= 1", "number in [0, 1)".
---@param o table {type, range}
---@return string
function help.with_range(o)
  if not o.range then return o.type end
  return o.type .. (o.range:find "^[%[(]" and " in " or " ") .. o.range
end

--- Options as a table in Markdown.
---@param list table[] {name, type, range, default, text}
---@return string
function help.option_table(list)
  local rows = { "| option | type | default | |", "|---|---|---|---|" }
  local function cell(text) return (text:gsub("|", "\\|")) end
  for _, o in ipairs(list) do
    rows[#rows + 1] = ("| `%s` | %s | %s | %s |"):format(o.name, cell(help.with_range(o)), cell(o.default),
      cell(o.text))
  end
  return table.concat(rows, "\n")
end

-- Options at the prompt: name, type and default in columns, the sentence below.
local function options(lines, list)
  if not list then return end
  local names, types = #"option", #"type"
  for _, o in ipairs(list) do
    names, types = math.max(names, #o.name), math.max(types, math.min(#help.with_range(o), 40))
  end
  local row = ("  %%-%ds  %%-%ds  %%s"):format(names, types)
  lines[#lines + 1] = row:format("option", "type", "default")
  lines[#lines + 1] = "  " .. ("-"):rep(width - 4)
  for _, o in ipairs(list) do
    local own, default = help.with_range(o), o.default
    local long = #own > types or names + types + #default + 6 > width
    lines[#lines + 1] = row:format(o.name, own, long and "" or default):gsub("%s+$", "")
    local text = long and ("%s (default: %s)"):format(o.text, default) or o.text
    lines[#lines + 1] = wrapped(text, (" "):rep(names + 4))
  end
end

local function first_sentence(text)
  local stop = 0
  repeat stop = text:find("%.%s", stop + 1) until not stop or text:sub(stop - 2, stop - 1) ~= "al"
  local sentence = stop and text:sub(1, stop) or text
  return #sentence > 54 and sentence:sub(1, 51):gsub("%s*%S*$", " ...") or sentence
end

-- Whether the reference's name is a kind of thing: no function, nor a choice such as "sampler ddim".
local function is_thing(name) return not name:find "[.:( ]" end

-- The names that begin with a prefix, one per line.
local function list_below(prefix, lines)
  for _, name in ipairs(opts.names(reference)) do
    if name:sub(1, #prefix) == prefix and not name:find("[.]", #prefix + 1) then
      lines[#lines + 1] = ("  %-22s %s"):format(name:sub(#prefix + 1), first_sentence(reference[name].text))
    end
  end
end

-- Parameters, results or fields, one paragraph each.
local function items(lines, heading, list)
  if not list then return end
  lines[#lines + 1] = heading
  for _, item in ipairs(list) do
    local shown = item.type:gsub("^diffusion%.[%w_]+_options%??$", "a table of the options below")
      :gsub("diffusion%.[%w_]+_options%??", "options")
    local head = (item.name and item.name .. (item.optional and "?: " or ": ") or "") .. shown
    local text = item.text and " -- " .. item.text or ""
    lines[#lines + 1] = wrapped(head .. text, "      ", "  ")
  end
end

-- The call of an object, and its methods.
local function methods(name, lines)
  local call = reference[name .. "()"]
  if call then lines[#lines + 1] = wrapped(call.text, "      ", ("called as %s: "):format(call.signature)) end
  options(lines, call and call.options)
  lines[#lines + 1] = "methods"
  list_below(name .. ":", lines)
end

-- The full text of an entry.
local function entry_text(name)
  local entry = reference[name]
  local lines = { entry.signature, wrapped(entry.text, "  ") }
  local is_class = is_thing(name)
  items(lines, is_class and "fields" or "takes", entry.params)
  options(lines, entry.options)
  items(lines, "returns", entry.returns)
  if entry.example then lines[#lines + 1] = "example\n  " .. entry.example:gsub("\n", "\n  ") end
  if is_class then methods(name, lines)
  else list_below(name .. ".", lines) end
  local page = guide.of(name)
  if page then lines[#lines + 1] = "guide\n  " .. guide.call(page) end
  return table.concat(lines, "\n")
end

local function overview()
  local lines = { 'd.help "q_sample", d.help(d.schedule.cosine) or d.help(tensor) say more.',
    'd.help "samplers" shows a guide, d.help "guides" what each is about.' }
  for _, area in ipairs(areas) do
    lines[#lines + 1] = wrapped(area[2], (" "):rep(18), ("  %-16s"):format(area[1]))
  end
  local kinds = {}
  for _, name in ipairs(opts.names(reference)) do
    if is_thing(name) then kinds[#kinds + 1] = name end
  end
  lines[#lines + 1] = wrapped(table.concat(kinds, " "), (" "):rep(18), ("  %-16s"):format "things")
  lines[#lines + 1] = wrapped(table.concat(guide.names(), " "), (" "):rep(18), ("  %-16s"):format "guides")
  return table.concat(lines, "\n")
end

local function list_of_guides()
  local lines = { 'd.help "samplers" shows a guide; d.help "guide data" does where data names something else too.' }
  for _, name in ipairs(guide.names()) do
    lines[#lines + 1] = wrapped(guide.about(name), (" "):rep(18), ("  %-16s"):format(name))
  end
  return table.concat(lines, "\n")
end

-- The name in the reference of a function or table that d reaches.
local function name_of(value)
  for _, name in ipairs(opts.names(reference)) do
    local path = name:match "^d%.(.*)$"
    if path then
      local at = package.loaded["diffusion"]
      for key in path:gmatch "[^.]+" do at = type(at) == "table" and at[key] or nil end
      if rawequal(at, value) then return name end
    end
  end
  for key, method in pairs(debug.getmetatable(core.zeros(1)).__methods) do
    if method == value then return reference["tensor:" .. key] and "tensor:" .. key end
  end
end

-- All entries that a word may mean: a whole name, or the last part of one.
local function meant(word)
  word = word:gsub("%(%)$", "")
  if reference[word] and reference["d." .. word] then return { "d." .. word, word } end
  if reference[word] then return { word } end
  if reference["d." .. word] then return { "d." .. word } end
  local out, last = {}, word:match "([%w_]+)$"
  for _, name in ipairs(last and opts.names(reference) or {}) do
    if name:match "([%w_]+)$" == last then out[#out + 1] = name end
  end
  return out
end

local function last_parts()
  local seen, out = {}, {}
  for _, name in ipairs(opts.names(reference)) do
    local last = name:match "([%w_]+)$"
    if last and not seen[last] then seen[last], out[#out + 1] = true, last end
  end
  return out
end

-- Names that d.help takes, for a suggestion.
local function topics()
  local out, guides = last_parts(), guide.names()
  return table.move(guides, 1, #guides, #out + 1, out)
end

-- A guide, unless the word is the full name of an entry: data is a guide, d.data is an entry.
local function guide_of_word(word)
  local topic = word:match "^guide%s+(.-)%s*$"
  if topic then return guide.text(topic) end
  if not (reference[word] or reference["d." .. word]) then return guide.text(word) end
end

local function text_of_word(word)
  if word == "guides" or word == "guide" then return list_of_guides() end
  local page = guide_of_word(word)
  if page then return page end
  local names = word:find "^guide%s" and {} or meant(word)
  if #names == 0 then
    local near = opts.nearest(word:gsub("^guide%s+", ""), topics())
    return ("nothing is called '%s'%s"):format(legible.line(word), near and ("; did you mean '%s'?"):format(near)
      or "; d.help() lists what there is")
  end
  local texts = {}
  for i, name in ipairs(names) do texts[i] = entry_text(name) end
  return table.concat(texts, "\n\n")
end

--- The text that help prints.
---@param what any
---@return string
function help.text(what)
  if what == nil then return overview() end
  if type(what) == "string" then return text_of_word(what) end
  local name = name_of(what)
  if name then return entry_text(name) end
  local known_as = kind.of(what)
  if rawequal(what, package.loaded["diffusion"]) then return overview() end
  if reference[known_as] then return entry_text(known_as) end
  return ("there is no help about a '%s'; d.help() lists what there is"):format(legible.line(known_as))
end

--- Prints what there is (no argument), a guide, or what is written about a name, a function, or
--- the methods of a thing.
---@param what? any a name ("q_sample", "d.lr.cosine"), a guide ("samplers", "guide data"; "guides"
--- lists them), a function, a table such as d.schedule, or a tensor, model, schedule, process, ...
---@usage d.help "q_sample"
function help.help(what) print(help.text(what)) end

return help
