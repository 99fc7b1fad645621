-- Captions of a folder's pictures. They are in a text file next to each picture, or in one table.
local core = require "diffusion.core"
local delimited = require "diffusion.file.delimited"
local json = require "diffusion.file.json"
local kind = require "diffusion.kind"
local parser = require "diffusion.file.parser"

local captions = {}

local need = parser.need

local MOST, MOST_OF_TABLE = 1 << 16, 1 << 28 -- bytes of a caption, and of a table

local TABLES = { "metadata.jsonl", "metadata.csv", "captions.tsv", "captions.csv" }
local FILES = { "file_name", "filename", "file", "image", "path" } -- the columns of pictures
local TEXTS = { "text", "caption", "prompt" } -- the columns of captions

-- ==== texts =============================================================================

local function read(path, most, fault)
  local file <close> = need(core.map(path))
  if file:size() > most then fault("%d bytes, but at most %d expected", file:size(), most) end
  local text = file:text(0, file:size()):gsub("^\xEF\xBB\xBF", "")
  local _, bad = utf8.len(text)
  if bad then fault("byte %d isn't UTF-8", bad) end
  return text
end

-- A caption is one line.
local function line_of(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

local function is_there(path) return core.place(path) == "file" end

-- The caption next to a picture, or nil.
local function beside(path)
  local stem = path:gsub("%.[^./]*$", "")
  for _, ending in ipairs { ".txt", ".caption" } do
    local name = stem .. ending
    if is_there(name) then return line_of(read(name, MOST, parser.fault_of(name))) end
  end
end

-- ==== tables ============================================================================

local function column(names, wanted)
  for _, name in ipairs(wanted) do
    for i, have in ipairs(names) do
      if have:lower() == name then return i end
    end
  end
end

-- The columns of pictures and captions. A table without a first line of names has them in this order.
local function columns(rows, fault)
  local names = rows[1] or fault "it is empty"
  local file, text = column(names, FILES), column(names, TEXTS)
  if file and text then return file, text, 2 end
  if file or text or #names ~= 2 then
    fault("its columns are %s; a picture's is expected as %s, and a caption's as %s", table.concat(names, ", "),
      table.concat(FILES, ", "), table.concat(TEXTS, ", "))
  end
  return 1, 2, 1
end

local function of_rows(text, comma, fault)
  local rows, out = delimited.rows(text, comma, fault), {}
  local file, caption, first = columns(rows, fault)
  for i = first, #rows do
    local row = rows[i]
    if not (row[file] and row[caption]) then
      fault("line %d has %d field%s, the first line %d", row.line, #row, #row == 1 and "" or "s", #rows[1])
    end
    out[#out + 1] = { name = row[file], text = row[caption], line = row.line }
  end
  return out
end

local function first_of(object, names)
  for _, name in ipairs(names) do
    if object[name] ~= nil then return object[name] end
  end
end

local function of_lines(text, fault)
  local out, number = {}, 0
  for line in text:gmatch "[^\n]*" do
    number = number + 1
    if line:find "%S" then
      local object = json.decode(line)
      if type(object) ~= "table" then fault("line %d isn't an object of JSON", number) end
      local name, caption = first_of(object, FILES), first_of(object, TEXTS)
      if type(name) ~= "string" or type(caption) ~= "string" then
        fault("line %d: the texts file_name and text are expected", number)
      end
      out[#out + 1] = { name = name, text = caption, line = number }
    end
  end
  return out
end

local function entries_of(path, fault)
  local text = read(path, MOST_OF_TABLE, fault)
  if path:find "%.jsonl?$" then return of_lines(text, fault) end
  return of_rows(text, path:find "%.tsv$" and "\t" or ",", fault)
end

-- The path of a table that an option names. It may be in the folder.
local function place_of(dir, name)
  local inside = dir .. "/" .. name
  return is_there(inside) and inside or name
end

-- ==== sources of captions ===============================================================

local function below(dir, path) return path:sub(#dir + 2) end

-- Captions by the names of pictures below the folder.
local function by_table(dir, path, list, skip)
  local fault, there, out = parser.fault_of(path), {}, {}
  for _, picture in ipairs(list) do there[below(dir, picture.path)] = true end
  for _, entry in ipairs(entries_of(path, fault)) do
    local name = entry.name:gsub("^%./", "")
    if out[name] then fault("line %d: '%s' has a caption already", entry.line, name) end
    if not (there[name] or skip) then
      fault("line %d is for '%s', which is no picture of %s; skip = true passes over it", entry.line, name, dir)
    end
    out[name] = line_of(entry.text)
  end
  return function(picture) return out[below(dir, picture.path)] end
end

-- A caption that a user's function or table has.
local function checked(dir, picture, text)
  if text == nil or type(text) == "string" then return text end
  parser.fault_of(dir)("the caption of %s must be a text, got %s", below(dir, picture.path), kind.shown(text))
end

local function by_user(dir, given)
  return function(picture)
    local name = below(dir, picture.path)
    if type(given) == "table" then return checked(dir, picture, given[name]) end
    return checked(dir, picture, given(name, picture.path))
  end
end

-- The table that a folder has.
local function table_in(dir)
  for _, name in ipairs(TABLES) do
    if is_there(dir .. "/" .. name) then return dir .. "/" .. name end
  end
end

local function source_of(dir, list, given, skip)
  if type(given) == "string" then return by_table(dir, place_of(dir, given), list, skip) end
  if given ~= true then return by_user(dir, given) end
  local path = table_in(dir)
  if path then return by_table(dir, path, list, skip) end
  return function(picture) return beside(picture.path) end
end

-- ==== all of them =======================================================================

local function captioned(dir, list, given, skip)
  local of, kept, texts, lost = source_of(dir, list, given, skip), {}, {}, {}
  for _, picture in ipairs(list) do
    local text = of(picture)
    if text then
      kept[#kept + 1], texts[#texts + 1] = picture, text
    else
      lost[#lost + 1] = picture.path
    end
  end
  if #lost > 0 and (not skip or #kept == 0) then
    parser.fault_of(dir)("%d of %d pictures %s no caption, as %s; skip = true leaves such pictures out", #lost, #list,
      #lost == 1 and "has" or "have", lost[1])
  end
  return kept, texts
end

--- The captions of pictures.
---@param dir string their folder
---@param list table[] {path, class}
---@param given true|string|table|function as the option `captions` of d.data.folder
---@param skip boolean leaves out what has none
---@return table[]|nil list those with a caption; nil with a message
---@return string[]|string captions or the message
function captions.of(dir, list, given, skip) return parser.run(captioned, dir, list, given, skip) end

captions.rule = { "boolean|string|table|function", default = false,
  as = "boolean|string|table<string, string>|fun(name: string, path: string): string?",
  default_text = "none",
  text = "true for files next to the pictures or a table in the folder; a table's path; texts by name; or a function" }

return captions
