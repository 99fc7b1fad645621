-- Tables of text: CSV with quotes as in RFC 4180, and TSV, in which a quote is a letter.
local delimited = {}

-- One field in quotes, from the byte after the first: its text and the place after it.
local function quoted(text, at, line, fault)
  local parts = {}
  while true do
    local stop = text:find('"', at, true)
    if not stop then fault("line %d: a quote without an end", line) end
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:sub(stop + 1, stop + 1) ~= '"' then return table.concat(parts), stop + 1 end
    parts[#parts + 1], at = '"', stop + 2
  end
end

local function field(text, at, comma, line, fault)
  if comma == "," and text:sub(at, at) == '"' then return quoted(text, at + 1, line, fault) end
  local stop = text:find("[\r\n" .. comma .. "]", at) or #text + 1
  return text:sub(at, stop - 1), stop
end

-- The fields of one row, and the place after its end of line.
local function row(text, at, comma, line, fault)
  local fields = {}
  while true do
    fields[#fields + 1], at = field(text, at, comma, line, fault)
    if text:sub(at, at) ~= comma then break end
    at = at + 1
  end
  local _, stop = text:find("^\r?\n", at)
  if not stop and at <= #text and text:sub(at) ~= "\r" then
    fault("line %d: '%s' after the end of a field", line, text:match("[^\r\n]*", at):sub(1, 10))
  end
  return fields, stop and stop + 1 or #text + 1
end

local function lines_in(text)
  local _, n = text:gsub("\n", "")
  return n
end

--- The rows of a table. Empty lines are none.
---@param text string
---@param comma string "," or "\t"
---@param fault fun(format: string, ...: any)
---@return table[] rows {line = number of the line, its fields}
function delimited.rows(text, comma, fault)
  local rows, at, line = {}, 1, 1
  while at <= #text do
    local fields, after = row(text, at, comma, line, fault)
    if #fields > 1 or fields[1] ~= "" then
      fields.line = line
      rows[#rows + 1] = fields
    end
    line, at = line + lines_in(text:sub(at, after - 1)), after
  end
  return rows
end

return delimited
