-- Finds the text that people read in a file: comments, messages and Markdown. The result is
-- a list of passages {line, text, kind}. A passage is a paragraph, a list item, a table
-- cell, a description behind @param, or one message.
--   kind "text"     a paragraph
--   kind "label"    a comment behind code, or one that starts in lower case
--   kind "cell"     an indented line: a formula, code, or a row of a table
--   kind "message"  a string of at least four words
local M = {}

-- ==== lines of a comment or a page to passages ===============================================

-- Removes the type from the rest of a tag line: "table<string, number>|nil the text".
local function without_type(rest)
  rest = rest:gsub("%b()", "()"):gsub("%b<>", "<>"):gsub("%b{}", "{}")
  return rest:match "^%S+:%s+%S+%s*(.*)" or rest:match "^%S+%s*(.*)" or ""
end

-- The description of a tag line ("---@param x number the input"), "" if it has none.
local function tag_text(line)
  local tag, rest = line:match "^@(%w+)%s*(.*)"
  if not tag then return nil end
  if tag == "param" or tag == "field" then return without_type((rest:gsub("^%S+%s*", ""))) end
  return tag == "return" and without_type(rest) or ""
end

local function collector(out, kind)
  local open, after_cell
  local self = {}
  function self.close()
    if open and open.kind ~= "code" and open.text:find "%a%a" then out[#out + 1] = open end
    open = nil
  end
  function self.start(line, text, its, is_item)
    self.close()
    open = { line = line, text = text, kind = its or kind, is_item = is_item }
  end
  function self.cell(line, text)
    out[#out + 1] = { line = line, text = text, kind = "cell" }
    after_cell = true
  end
  function self.add(line, text)
    if after_cell and text:find "^%u" then self.close() end
    after_cell = false
    if open then open.text = open.text .. " " .. text
    else self.start(line, text, kind == "text" and text:find "^%l" and "label" or kind) end
  end
  function self.in_item() return open and open.is_item end
  return self
end

local function item_of(text)
  return text:match "^[-*] +(.*)" or text:match "^%d+%. +(.*)" or text:match "^[%l%d_]+: (%u.*)"
end

-- The last cell of a row of a table that is set with blanks, nil for other lines.
local function cell_of(text) return text:match "%S.-[^.?!:]   +(%S.*)" end

local function add_line(passages, number, text, indent, base)
  local item, tag = item_of(text) or cell_of(text), tag_text(text)
  local fence = text:match "^[=-][=-]+%s*(.-)%s*[=-]*$"
  if text == "" then passages.close()
  elseif fence then
    passages.start(number, fence, "label")
    passages.close()
  elseif tag then passages.start(number, tag, text:find "^@usage" and "code" or "label")
  elseif item then passages.start(number, item, "label", true)
  elseif indent > base and not passages.in_item() then passages.cell(number, text)
  else passages.add(number, text) end
end

local function of_lines(lines, first, kind, out)
  local passages, base = collector(out, kind), nil
  for i, line in ipairs(lines) do
    local space, text = line:match "^(%s*)(.-)%s*$"
    if text ~= "" then base = base or #space end
    add_line(passages, first + i - 1, text, #space, base or 0)
  end
  passages.close()
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

-- ==== messages ===============================================================================

-- Whether a string is prose for a person, not a name, a pattern or code.
local function is_prose(text)
  if text:find "^%s*local " or text:find "[%w_]%(.*%).*=" or text:find "=.*[%w_]%(.*%)" then return false end
  return text:find "%a+[,:;]? %a+[,:;]? %a+[,:;]? %a+" ~= nil
end

local function message(text, line, out)
  text = text:gsub("\\n", "\n"):gsub('\\"', '"')
  if not is_prose(text) then return end
  for _, part in ipairs(lines_of(text)) do
    if part:find "%a" then out[#out + 1] = { line = line, text = part, kind = "message" } end
  end
end

-- ==== readers of languages ===================================================================

-- Counts lines while a reader moves forward through a text.
local function counter(text)
  local line, last = 1, 1
  return function(at)
    local _, breaks = text:sub(last, at - 1):gsub("\n", "")
    line, last = line + breaks, at
    return line
  end
end

-- The column of a place in its line, from 0, and whether only blanks are before it.
local function column_of(text, at)
  local first = at
  while first > 1 and text:byte(first - 1) ~= 10 do first = first - 1 end
  return at - first, not text:sub(first, at - 1):find "%S"
end

-- The end of a string that begins at `at`, and its contents.
local function string_at(text, at)
  local quote, from = text:sub(at, at), at + 1
  while true do
    local stop = text:find('[\\\n' .. quote .. ']', from) or #text
    if text:sub(stop, stop) ~= "\\" then return stop, text:sub(at + 1, stop - 1) end
    from = stop + 2
  end
end

-- Joins the literals that follow each other: "a" "b" in C and "a" .. "b" in Lua.
local function joined_at(text, at, glue)
  local stop, whole = string_at(text, at)
  local again = text:match(glue, stop + 1)
  while again do
    local last, more = string_at(text, again)
    stop, whole = last, whole .. more
    again = text:match(glue, stop + 1)
  end
  return stop, whole
end

local function c_comment(text, at, line, out)
  local stop = select(2, text:find("*/", at + 2, true)) or #text
  local lines = lines_of(text:sub(at, stop - 2))
  for i, one in ipairs(lines) do
    lines[i] = i == 1 and one:gsub("^/%*+ ?", "") or one:gsub("^%s*%*%*? ?", "")
  end
  if text:find("^/%*%*%*", at) then lines[1] = "" end   -- names the documented function
  of_lines(lines, line, select(2, column_of(text, at)) and "text" or "label", out)
  return stop
end

local function read_c(text, out)
  local at, line_at = text:find "[\"'/]", counter(text)
  while at do
    local mark, stop = text:sub(at, at), at
    if mark == '"' then
      local whole
      stop, whole = joined_at(text, at, '^%s*()"')
      message(whole, line_at(at), out)
    elseif mark == "'" then stop = string_at(text, at)
    elseif text:sub(at + 1, at + 1) == "*" then stop = c_comment(text, at, line_at(at), out) end
    at = text:find("[\"'/]", stop + 1)
  end
end

-- Reads the line comments from `at` on: those of the following lines, too, if each stands
-- alone on its line in the same column.
local function line_comments(text, at, mark, line, out)
  local column, alone = column_of(text, at)
  local again = "^\n" .. (" "):rep(column) .. "()" .. mark
  local lines = {}
  local stop
  repeat
    stop = text:find("\n", at, true) or #text + 1
    lines[#lines + 1] = text:sub(at, stop - 1):gsub("^" .. mark .. "[-#|]* ?", "")
    at = text:match(again, stop)
  until not at
  of_lines(lines, line, alone and "text" or "label", out)
  return stop - 1
end

local function long_string(text, at)
  local level = text:match("^%[(=*)%[", at)
  local stop = level and select(2, text:find("]" .. level .. "]", at, true))
  return stop, level and stop and text:sub(at + #level + 2, stop - #level - 2)
end

local function read_lua(text, out)
  local line_at = counter(text)
  local at = text:find "[\"'%[-]"
  while at do
    local mark, stop, whole = text:sub(at, at), at, nil
    if mark == "[" then stop, whole = long_string(text, at)
    elseif mark ~= "-" then stop, whole = joined_at(text, at, "^%s*%.%.%s*()[\"']")
    elseif text:find("^%-%-", at) then stop = line_comments(text, at, "%-%-", line_at(at), out) end
    if whole then message(whole, line_at(at), out) end
    at = text:find("[\"'%[-]", (stop or at) + 1)
  end
end

-- Comments of make, the shell and Python. A "#" within a string has no space on its left.
local function read_hash(text, out)
  local line_at, at = counter(text), 1
  while true do
    local before, mark = text:match("()%f[%S]()#[ #]", at)
    if not before then return end
    at = line_comments(text, mark, "#", line_at(mark), out) + 1
  end
end

local function table_row(line, number, out)
  for cell in line:gmatch "|%s*([^|]-)%s*%f[|\0]" do
    if cell:find "%a%a" then out[#out + 1] = { line = number, text = cell, kind = "label" } end
  end
end

local function read_markdown(text, out)
  local passages, code = collector(out, "text"), false
  for number, line in ipairs(lines_of(text)) do
    local plain = line:gsub("!?%[([^%]]*)%]%([^)]*%)", "%1"):gsub("<[^>]*>", "")
    local _, trimmed = plain:match "^(%s*)(.-)%s*$"
    if trimmed:find "^```" then
      code = not code
      passages.close()
    elseif code then passages.close()
    elseif trimmed:find "^|" then
      passages.close()
      table_row(trimmed, number, out)
    elseif trimmed:find "^#" or line:find "^!%[" then
      passages.start(number, (trimmed:gsub("^#+%s*", "")), "label")
      passages.close()
    else add_line(passages, number, trimmed, 0, 0) end
  end
  passages.close()
end

local reader = { c = read_c, h = read_c, lua = read_lua, md = read_markdown, py = read_hash }

--- The passages of a file.
---@param path string decides the language
---@param text string
---@return table[] passages {line, text, kind}
function M.passages(path, text)
  local out = {}
  local read = reader[path:match "%.(%w+)$" or ""] or read_hash
  if path:find "%.luacheckrc$" or path:find "%.busted$" then read = read_lua end
  read(text:gsub("\r", ""), out)
  return out
end

return M
