-- Documentation from its one source, the comments above what is public: LuaCATS (---@param)
-- in lua/diffusion, and blocks /*** name ... */ with the same tags in csrc/binding. Writes
--   lua/diffusion/reference.lua              the texts of d.help
--   lua/diffusion/library/diffusion.d.lua    definitions for LuaLS
--   build/doc/*.html                         the same, the README and the guides, with a search box
-- Run by `make doc`; spec/doc_spec.lua holds the first two against the comments.
local kind_of = require("diffusion.kind").of
local object = require "diffusion.object"
local opts = require "diffusion.opts"
local help = require "diffusion.help"
local options = dofile "spec/support/options.lua"
local pages = dofile "spec/support/pages.lua"
local site = dofile "spec/support/site.lua"

local doc = {}

-- ==== comments =============================================================================

-- The type at the start of a tag's rest. It ends at the first space outside brackets that
-- doesn't follow a colon, a comma or a bar.
local function split_type(rest)
  local depth, last = 0, ""
  for i = 1, #rest do
    local c = rest:sub(i, i)
    if c:find "[%({<%[]" then depth = depth + 1
    elseif c:find "[%)}>%]]" then depth = depth - 1
    elseif c == " " and depth == 0 and not last:find "[:,|]" then
      return rest:sub(1, i - 1), rest:sub(i + 1)
    end
    if c ~= " " then last = c end
  end
  return rest, ""
end

local readers = {}

function readers.text(entry, text) entry.text = text end

function readers.param(entry, rest)
  local name, more = rest:match "^(%S+)%s*(.*)$"
  local kind, text = split_type(more)
  local optional = name:sub(-1) == "?" or kind:sub(-1) == "?" or kind:find "|nil" ~= nil
  entry.params[#entry.params + 1] = {
    name = name:gsub("%?$", ""), type = kind, text = text, optional = optional or nil,
  }
end

readers["return"] = function(entry, rest)
  local kind, text = split_type(rest)
  entry.returns[#entry.returns + 1] = { type = kind, text = text }
end

function readers.option(entry, rest)
  local name, more = rest:match "^(%S+)%s*(.*)$"
  entry.options = entry.options or {}
  table.insert(entry.options, options.written(name, split_type(more)))
end

-- "@options_of d.randn": the same options as those of another C function.
function readers.options_of(entry, rest) entry.options_of = rest end

function readers.usage(entry, rest) entry.usage = rest end

-- An error is described in the text.
local function read_error(entry, rest)
  entry.text = ("%s An error %s."):format(entry.text, rest:gsub("%.$", "")):gsub("^ ", "")
end
readers.error, readers.raise = read_error, read_error

function readers.class(entry, rest) entry.class, entry.parent = rest:match "^([%w_.]+):?%s*(%S*)" end

function readers.field(entry, rest)
  local name, more = rest:match "^(%S+)%s*(.*)$"
  local kind, text = split_type(more)
  entry.fields[#entry.fields + 1] = { name = name, type = kind, text = text }
end

function readers.operator(entry, rest)
  entry.operators = entry.operators or {}
  entry.operators[#entry.operators + 1] = rest
end

-- A comment's lines as its text and its tags, each with the lines that go on with it.
local function tags_of(lines)
  local list = { { lines = {} } }
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^@([%w_]+)%s*(.*)$"
    if tag then list[#list + 1] = { name = tag, lines = { rest } }
    else table.insert(list[#list].lines, line) end
  end
  return list
end

local function parse(lines, where)
  local entry = { text = "", params = {}, returns = {}, fields = {} }
  for _, tag in ipairs(tags_of(lines)) do
    local reader = readers[tag.name or "text"] or error(("%s: no tag @%s here"):format(where, tag.name), 0)
    if tag.name ~= "usage" then
      for i, line in ipairs(tag.lines) do tag.lines[i] = line:match "^%s*(.-)%s*$" end
    end
    reader(entry, table.concat(tag.lines, tag.name == "usage" and "\n" or " "))
  end
  return entry
end

-- ==== files ================================================================================

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function files(pattern)
  local pipe, out = assert(io.popen("ls " .. pattern)), {}
  for path in pipe:lines() do out[#out + 1] = path end
  pipe:close()
  return out
end

-- The name that the line below a comment defines.
local function defined(line)
  return line:match "^%s*local function ([%w_]+)" or line:match "^%s*function ([%w_.:]+)"
    or line:match "^%s*([%w_.]+) = "
end

-- Comments by "file:line" of what follows them, and by the name that it has in its file.
local function read_lua(path, found)
  local lines, block = lines_of(path), {}
  for i, line in ipairs(lines) do
    local text = line:match "^%s*%-%-%- ?(.*)$"
    if text then block[#block + 1] = text
    elseif #block > 0 then
      local where = ("%s:%d"):format(path, i)
      local entry = parse(block, where)
      entry.file, entry.defined, entry.line = path, defined(line), line
      found.at[where] = entry
      if entry.class then found.class[entry.class] = entry end
      found.list[#found.list + 1] = entry
      block = {}
    end
  end
  -- the opening comment of a file, with two or three dashes
  local head, i = {}, 1
  while lines[i] and lines[i]:find "^%-%-" and not lines[i]:find "^%-%-%-@" do
    head[i] = lines[i]:gsub("^%-+ ?", "")
    i = i + 1
  end
  found.head[path] = table.concat(head, " ")
end

-- The part of a block for several names that is meant for one. Lines that begin with another
-- name and a colon are left out, and so are the lines indented below them.
local function lines_for(name, names, block)
  local out, left_out = {}, false
  for _, line in ipairs(block) do
    local own = line:match "^([%w_]+): "
    if own and names[own] then left_out = own ~= name
    elseif not line:find "^  " then left_out = false end
    if not left_out then out[#out + 1] = own == name and line:sub(#own + 3) or line end
  end
  return out
end

local function note_block(head, block, path, found)
  local class = head:match "^class (%S+)"
  if class then
    found.class[class] = parse(block, path)
    return
  end
  local prefix, names = head:match "^(.*[.:])" or "", {}
  for name in head:sub(#prefix + 1):gmatch "[%w_]+" do names[name] = true end
  for name in pairs(names) do
    local entry = parse(lines_for(name, names, block), path)
    entry.file = path
    found.c[prefix .. name] = entry
  end
end

local function read_c(path, found)
  local block, names
  for _, line in ipairs(lines_of(path)) do
    local head = line:match "^/%*%*%* (.*)$"
    if head then block, names = {}, head:gsub("%s*%*/$", "") end
    if block then
      if not head then block[#block + 1] = line:gsub("^%*%* ?", ""):gsub("%s*%*/$", "") end
      if line:find "%*/%s*$" then
        note_block(names, block, path, found)
        block = nil
      end
    end
  end
end

local function read_all()
  local found = { at = {}, class = {}, list = {}, c = {}, head = {} }
  for _, path in ipairs(files "lua/diffusion/*.lua lua/diffusion/*/*.lua lua/diffusion/*/*/*.lua") do
    if not path:find "reference%.lua$" and not path:find "library/" then read_lua(path, found) end
  end
  for _, path in ipairs(files "csrc/binding/*.c") do read_c(path, found) end
  return found
end

-- ==== public names =========================================================================

local function sorted(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" and key:sub(1, 1) ~= "_" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

-- A table of names, and no object.
local function is_plain(value) return kind_of(value) == "table" end

-- Tables of names below d; their functions are public, and so are theirs.
local function walk(prefix, t, out)
  for _, key in ipairs(sorted(t)) do
    local name, value = prefix .. "." .. key, t[key]
    out[#out + 1] = { name = name, value = value }
    if is_plain(value) then walk(name, value, out) end
  end
  return out
end

-- Families of several networks, whose models have methods of their own.
local function add_families(out)
  for _, path in ipairs(files "lua/diffusion/network/*.lua") do
    local family = require("diffusion.nn.family").find(path:match "([%w_]+)%.lua$")
    if family.methods then
      out[#out + 1] = { kind = family.name, methods = family.methods, call = family.forward }
    end
  end
  return out
end

-- One of each kind of thing that has methods: its kind's name, and the table of them.
local function kinds(d)
  local process = d.process { schedule = d.schedule.cosine { T = 10 } }
  local model = d.mlp { hidden = 8, depth = 1 }
  local opt = d.adamw(model)
  local set = d.data.toy.moons(4)
  local batches = set:batches { size = 2 }
  local net
  d.network { inputs = { "x" }, build = function(n)
    net = n
    return n:silu(n.x)
  end }
  local things = {
    d.zeros(1), process, process.schedule, model, d.ema(model), opt, set, batches, d.generator(),
    d.grid.trailing(process, 2), d.checkpoint { path = "x", model = model },
    d.sampler.steps { model = model, process = process, shape = { 1, 2 }, seed = 1 },
    d.trainer { model = model, opt = opt, batches = batches, objective = print },
    d.oracle.gaussian { mean = 0, std = 1 }, assert(d.load_pipeline "digits"),
    assert(d.load_pipeline "digits"):add_lora { on = "." },
    d.objective { process = process }, net, d.nn.lora(d.mlp { hidden = 8, depth = 1 }),
    assert(d.tokenizer "spec/fixtures/tokenizer/merges.txt"),
  }
  local out = {}
  for i, x in ipairs(things) do
    local meta = debug.getmetatable(x)
    local methods = meta.__methods or meta.__index
    assert(type(methods) == "table", meta.__name .. " has no table of methods in __methods or __index")
    out[i] = { kind = meta.__name:gsub("^diffusion%.", ""), methods = methods, call = meta.__call }
  end
  return add_families(out)
end

-- Every public name with its value: d.x, d.x.y, kind:method.
local function public(d)
  local out = walk("d", d, {})
  for _, k in ipairs(kinds(d)) do
    for _, key in ipairs(sorted(k.methods)) do
      out[#out + 1] = { name = k.kind .. ":" .. key, value = k.methods[key], kind = k.kind }
    end
    if k.call then out[#out + 1] = { name = k.kind .. "()", value = k.call, kind = k.kind } end
  end
  return out
end

-- ==== the entry of a name ==================================================================

local function place_of(fn)
  local info = debug.getinfo(object.unguarded(fn), "S")
  local path = info.source:match "(lua/diffusion/.*)$"
  return path and ("%s:%d"):format(path, info.linedefined), info.what == "C"
end

local function named_params(fn, method)
  fn = object.unguarded(fn)
  local out, info = {}, debug.getinfo(fn, "u")
  for i = method and 2 or 1, info.nparams do out[#out + 1] = { name = debug.getlocal(fn, i) } end
  if info.isvararg then out[#out + 1] = { name = "..." } end
  return out
end

local function c_entry(name, found)
  local kind, method = name:match "^(.-):(.*)$"
  if not kind then return found.c[name] end
  return found.c[kind:sub(1, 1):upper() .. kind:sub(2) .. ":" .. method] or found.c["d." .. method]
end

local function value_entry(item, found)
  local key = item.name:match "([%w_]+)$"
  for _, entry in ipairs(found.list) do
    if entry.defined and entry.defined:match "[%w_]+$" == key and not entry.line:find "function" then
      return entry
    end
  end
end

-- A table of names is described by the opening comment of its file.
local function table_entry(item, found)
  local path = "lua/diffusion/" .. item.name:gsub("^d%.", ""):gsub("%.", "/")
  local text = found.head[path .. ".lua"] or found.head[path .. "/init.lua"]
  return text and { text = text, params = {}, returns = {}, fields = {} }
    or found.c[item.name]
end

-- A method of a net adds a layer; nn/kinds.lua describes them.
local function layer_entry(item)
  local kind = require("diffusion.nn.kinds")[item.name:match "^net:(.*)$"]
  return kind and { text = kind.text .. ".", file = "lua/diffusion/nn/kinds.lua",
    params = { { name = "path", type = "string?", text = "not needed for a layer without parameters", optional = true },
      { name = "inputs", type = "diffusion.value|diffusion.value[]" },
      { name = "options", type = ("diffusion.net_%s_options?"):format(kind.name), optional = true } },
    returns = { { type = "diffusion.value", text = "" } } }
end

local function entry_of(item, found)
  if item.kind == "net" and layer_entry(item) then return layer_entry(item) end
  if is_plain(item.value) then return table_entry(item, found) end
  if type(item.value) ~= "function" then return value_entry(item, found) end
  local place, is_c = place_of(item.value)
  if is_c then return c_entry(item.name, found) end
  return place and found.at[place]
end

-- A sentence where the comment's parameters aren't the function's.
local function mismatch(item, entry)
  if type(item.value) ~= "function" or select(2, place_of(item.value)) then return end
  local real, written = {}, {}
  for i, p in ipairs(named_params(item.value, item.kind)) do real[i] = p.name end
  for i, p in ipairs(entry.params) do written[i] = p.name end
  local a, b = table.concat(real, ", "), table.concat(written, ", ")
  if item.name:find "%(%)$" then return end -- its comment says what callers write
  return a ~= b and ("%s(%s) is documented with (%s)"):format(item.name, a, b) or nil
end

local function signature(item, entry)
  if type(item.value) ~= "function" then return item.name end
  local params = entry.params
  if #params == 0 and not select(2, place_of(item.value)) then
    params = named_params(item.value, item.kind)
  end
  local names = {}
  for i, p in ipairs(params) do names[i] = p.optional and "[" .. p.name .. "]" or p.name end
  return ("%s(%s)"):format(item.name:gsub("%(%)$", ""), table.concat(names, ", "))
end

-- The options that an entry's function takes, and the name of their class.
local function options_of(entry, found)
  local name = options.set_of(entry)
  if not name then return end
  local other = entry.options_of and found.c[entry.options_of]
  local list = entry.options or other and other.options or options.declared(name)
  return assert(list, ("%s: no options are declared as '%s'"):format(entry.file, name)), name
end

-- ==== collecting ===========================================================================

-- Families of networks are found by the names of their files.
local function families()
  local d = require "diffusion"
  for _, path in ipairs(files "lua/diffusion/network/*.lua") do local _ = d[path:match "([%w_]+)%.lua$"] end
  return d
end

--- Everything public: entries in order of their names, and the names that have none.
---@return table[] entries { name, signature, text, params, returns, usage, ... }
---@return string[] missing
function doc.collect()
  local found, entries, missing, seen = read_all(), {}, {}, {}
  for _, item in ipairs(public(families())) do
    local entry = entry_of(item, found)
    if not entry or entry.text == "" then
      missing[#missing + 1] = item.name
    elseif not (item.kind == "tensor" and found.c["d." .. item.name:sub(8)]) and not seen[item.name] then
      seen[item.name] = true
      local list, set = options_of(entry, found)
      entries[#entries + 1] = {
        options = list, set = set,
        name = item.name, kind = item.kind, signature = signature(item, entry), text = entry.text,
        params = entry.params, returns = entry.returns, usage = entry.usage, file = entry.file,
        mismatch = mismatch(item, entry), is_function = type(item.value) == "function",
      }
    end
  end
  for name, source in pairs(opts.choices) do
    local group, own = name:match "^(%S+) (.*)$"
    local list = options.declared(name)
    local form = #list > 0 and '%s = {"%s", ...}' or '%s = "%s"'
    entries[#entries + 1] = { name = name, signature = form:format(group, own), text = source, params = {},
                              returns = {}, options = list, choice = true }
  end
  for name, class in pairs(found.class) do
    local kind = name:gsub("^diffusion%.", "")
    local text = class.text
    entries[#entries + 1] = { name = kind, signature = kind, text = text, params = class.fields,
                              returns = {}, class = name, parent = class.parent, operators = class.operators }
  end
  table.sort(entries, function(a, b) return a.name < b.name end)
  return entries, missing
end

-- ==== reference.lua ========================================================================

local function quoted(text) return ("%q"):format(text):gsub("\\\n", "\\n") end

local function item_text(item)
  local parts = {}
  for _, key in ipairs { "name", "type", "range", "default", "text" } do
    if item[key] and item[key] ~= "" then parts[#parts + 1] = ("%s = %s"):format(key, quoted(item[key])) end
  end
  if item.optional then parts[#parts + 1] = "optional = true" end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function add_list(out, key, items)
  if not items or #items == 0 then return end
  out[#out + 1] = ("    %s = {"):format(key)
  for _, item in ipairs(items) do out[#out + 1] = ("      %s,"):format(item_text(item)) end
  out[#out + 1] = "    },"
end

--- The text of lua/diffusion/reference.lua.
---@param entries table[] as doc.collect returns them
---@return string
function doc.reference(entries)
  local out = { "-- What d.help shows. Made by `make doc` from the comments above what is public;",
    "-- change those.", "return {" }
  for _, e in ipairs(entries) do
    out[#out + 1] = ("  [%q] = {"):format(e.name)
    out[#out + 1] = ("    signature = %s,"):format(quoted(e.signature))
    out[#out + 1] = ("    text = %s,"):format(quoted(e.text))
    local is_family = e.name:find "^d%." and (e.file or ""):find "^lua/diffusion/network/"
    if is_family then out[#out + 1] = "    family = true," end
    add_list(out, "params", e.params)
    add_list(out, "options", e.options)
    add_list(out, "returns", e.returns)
    if e.usage then out[#out + 1] = ("    example = %s,"):format(quoted(e.usage)) end
    out[#out + 1] = "  },"
  end
  out[#out + 1] = "}\n"
  return table.concat(out, "\n")
end

-- ==== diffusion.d.lua ======================================================================

local function comment(out, text)
  local line = "---"
  for word in text:gmatch "%S+" do
    if #line + #word > 94 then
      out[#out + 1] = line
      line = "---"
    end
    line = line .. " " .. word
  end
  if line ~= "---" then out[#out + 1] = line end
end

local function tags(out, e)
  for _, p in ipairs(e.params) do
    local name = p.name == "..." and "..." or p.name .. (p.optional and "?" or "")
    out[#out + 1] = ("---@param %s %s %s"):format(name, p.type or "any", p.text or ""):gsub("%s+$", "")
  end
  for _, r in ipairs(e.returns) do
    out[#out + 1] = ("---@return %s %s"):format(r.type, r.text):gsub("%s+$", "")
  end
end

local function parameter_names(e)
  local names = e.signature:match "%((.*)%)$":gsub("[%[%]]", "")
  return names
end

-- How a thing is called, as LuaLS writes it.
local function overload(call)
  local params, returns = {}, {}
  for i, p in ipairs(call.params) do params[i] = p.name .. (p.optional and "?: " or ": ") .. p.type end
  for i, r in ipairs(call.returns) do returns[i] = r.type end
  return ("---@overload fun(%s): %s"):format(table.concat(params, ", "), table.concat(returns, ", "))
end

local function define_class(out, e, call)
  out[#out + 1] = ""
  comment(out, e.text)
  out[#out + 1] = "---@class " .. e.class .. ((e.parent or "") ~= "" and ": " .. e.parent or "")
  for _, f in ipairs(e.params) do
    out[#out + 1] = ("---@field %s %s %s"):format(f.name, f.type, f.text):gsub("%s+$", "")
  end
  if call then out[#out + 1] = overload(call) end
  for _, operator in ipairs(e.operators or {}) do out[#out + 1] = "---@operator " .. operator end
  out[#out + 1] = ("local %s = {}"):format(e.name)
end

-- The classes of options: of functions, and of options that are tables.
local function define_options(out, entries)
  local lists, names = {}, {}
  local function add(set, list)
    if lists[set] then return end
    lists[set], names[#names + 1] = list, set
    for _, o in ipairs(list) do
      local inner = not o.nested and o.as:match "diffusion%.([%w_]+)_options"
      if inner then add(inner, options.declared(inner)) end
    end
  end
  for _, e in ipairs(entries) do if e.set then add(e.set, e.options) end end
  table.sort(names)
  for _, name in ipairs(names) do
    out[#out + 1] = ""
    local lines = options.class(name, lists[name])
    table.move(lines, 1, #lines, #out + 1, out)
  end
end

local function define(out, e)
  out[#out + 1] = ""
  comment(out, e.text)
  tags(out, e)
  if e.is_function then
    out[#out + 1] = ("function %s(%s) end"):format(e.name, parameter_names(e))
  else
    out[#out + 1] = ("%s = {}"):format(e.name)
  end
end

--- The text of lua/diffusion/library/diffusion.d.lua.
---@param entries table[] as doc.collect returns them
---@return string
function doc.definitions(entries)
  local out = { "---@meta diffusion", "-- Definitions for LuaLS. Made by `make doc` from the comments above what is",
    "-- public; change those.", "", "---@class diffusion", "---@field _VERSION string",
    "local d = {}" }
  local calls = {}
  for _, e in ipairs(entries) do calls[e.name] = e end
  define_options(out, entries)
  for _, e in ipairs(entries) do if e.class then define_class(out, e, calls[e.name .. "()"]) end end
  for _, e in ipairs(entries) do
    if not e.class and not e.choice and not e.name:find "%(%)$" then define(out, e) end
  end
  out[#out + 1] = "\nreturn d\n"
  return table.concat(out, "\n")
end

-- ==== tables of the guides =================================================================

-- The table of <!-- options: sample -->, or <!-- options: unet classes outputs --> for some of them.
local function options_table(by_name, path, words)
  local name, rest = words:match "^(%S+)%s*(.*)$"
  local e = by_name["d." .. name] or by_name[name]
  assert(e and e.options, ("%s: no options are declared for '%s'"):format(path, name))
  if rest == "" then return help.option_table(e.options) end
  local rows = {}
  for key in rest:gmatch "%S+" do
    for _, o in ipairs(e.options) do if o.name == key then rows[#rows + 1] = o end end
    assert(rows[#rows] and rows[#rows].name == key, ("%s: %s has no option '%s'"):format(path, name, key))
  end
  return help.option_table(rows)
end

-- The table of <!-- choices: weighting -->.
local function choices_table(by_name, path, group)
  local rows = { ("| `%s =` | | options |"):format(group), "|---|---|---|" }
  for _, name in ipairs(options.names_of(group)) do
    local e, list = by_name[group .. " " .. name], {}
    for i, o in ipairs(e.options) do list[i] = ("`%s` (%s)"):format(o.name, o.default) end
    rows[#rows + 1] = ("| `%s` | %s | %s |"):format(name, e.text, table.concat(list, ", "))
  end
  assert(#rows > 2, ("%s: no choices are declared for '%s'"):format(path, group))
  return table.concat(rows, "\n")
end

local makers = { options = options_table, choices = choices_table }

--- A page with its tables as the options are declared, each between a line <!-- options: NAME --> or
--- <!-- choices: OPTION --> and a line <!-- end -->.
---@param entries table[] as doc.collect returns them
---@param path string
---@param text string
---@return string
function doc.page(entries, path, text)
  local by_name = {}
  for _, e in ipairs(entries) do by_name[e.name] = e end
  return (text:gsub("(<!%-%- (%l+): ([^\n]-) %-%->\n).-(<!%-%- end %-%->)", function(first, kind, words, last)
    return first .. makers[kind](by_name, path, words) .. "\n" .. last
  end))
end

-- ==== writing ==============================================================================

--- The paths of the texts that are committed.
doc.paths = {
  reference = "lua/diffusion/reference.lua", definitions = "lua/diffusion/library/diffusion.d.lua",
}

local function write(path, text)
  os.execute("mkdir -p " .. path:match "^(.*)/")
  local f = assert(io.open(path, "w"))
  assert(f:write(text))
  assert(f:close())
end

-- The project's root, seen from a folder in it.
local function root_from(folder)
  return folder:find "^/" and os.getenv "PWD" .. "/" or folder:gsub("[^/]+/?", "../")
end

local function write_site(entries)
  local folder = (os.getenv "DIFFUSION_BUILD" or "build") .. "/doc"
  local made, pictures = site.build(entries, root_from(folder))
  for name, text in pairs(made) do write(folder .. "/" .. name, text) end
  for path, name in pairs(pictures) do
    local f <close> = assert(io.open(path, "rb"))
    write(folder .. "/" .. name, f:read "a")
  end
  print("pages: " .. folder .. "/index.html")
end

--- Writes everything.
function doc.write()
  local entries, missing = doc.collect()
  for name, path in pairs(doc.paths) do write(path, doc[name](entries)) end
  for _, page in ipairs(pages.all()) do
    if page.name ~= "README" then write(page.path, doc.page(entries, page.path, page.text)) end
  end
  write_site(entries)
  print(("%d names; without documentation: %s"):format(#entries,
    #missing > 0 and table.concat(missing, ", ") or "none"))
end

if arg and arg[0] and arg[0]:find "spec/support/doc%.lua$" then doc.write() end

return doc
