--- Reads Markdown, as far as the guides use it, into blocks and spans.
--
-- A block is one of these:
--   {kind = "heading", level, text}        {kind = "paragraph", text}
--   {kind = "code", language, text}        {kind = "list", ordered, items = {text, ...}}
--   {kind = "table", head = {text, ...}, rows = {{text, ...}, ...}}
--   {kind = "picture", text, target}
--
-- A span of a text is one of these:
--   {kind = "plain" | "code" | "strong" | "emphasis" | "link", text, target}
local markdown = {}

-- ==== blocks ===============================================================================

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do lines[#lines + 1] = line end
  return lines
end

-- The cells of a table's line. A bar inside a cell is written \|.
local function cells(line)
  local out = {}
  for cell in line:gsub("\\|", "\0"):gsub("^%s*|", ""):gsub("|%s*$", ""):gsub("$", "|"):gmatch "(.-)|" do
    out[#out + 1] = cell:gsub("%z", "|"):match "^%s*(.-)%s*$"
  end
  return out
end

local function item_of(line)
  local mark, rest = line:match "^(%-)%s+(.*)$"
  if not mark then mark, rest = line:match "^(%d+)%.%s+(.*)$" end
  return mark, rest
end

-- Each reader takes the lines and a place. It returns a block and the place after it, or nil if the
-- lines are not of its kind.
local readers = {}

readers[1] = function(lines, i)
  local language = lines[i]:match "^```(.*)$"
  if not language then return end
  local code, at = {}, i + 1
  while lines[at] and lines[at] ~= "```" do
    code[#code + 1], at = lines[at], at + 1
  end
  return { kind = "code", language = language, text = table.concat(code, "\n") }, at + 1
end

readers[2] = function(lines, i)
  local marks, text = lines[i]:match "^(#+)%s+(.*)$"
  return marks and { kind = "heading", level = #marks, text = text }, i + 1
end

readers[3] = function(lines, i)
  local text, target = lines[i]:match "^!%[(.-)%]%((.-)%)$"
  return text and { kind = "picture", text = text, target = target }, i + 1
end

readers[4] = function(lines, i)
  if not (lines[i]:find "^|" and (lines[i + 1] or ""):find "^|[%s:|-]+$") then return end
  local block, at = { kind = "table", head = cells(lines[i]), rows = {} }, i + 2
  while lines[at] and lines[at]:find "^|" do
    block.rows[#block.rows + 1], at = cells(lines[at]), at + 1
  end
  return block, at
end

-- Lines that begin with blanks continue the item before them. A numbered list begins with 1.
readers[5] = function(lines, i)
  local mark = item_of(lines[i])
  if mark ~= "-" and mark ~= "1" then return end
  local items, at = {}, i
  while lines[at] do
    local own, rest = item_of(lines[at])
    if own then items[#items + 1] = rest
    elseif lines[at]:find "^%s+%S" then
      items[#items] = items[#items] .. " " .. lines[at]:match "^%s*(.-)%s*$"
    else break end
    at = at + 1
  end
  return { kind = "list", ordered = mark ~= "-", items = items }, at
end

local function other_block(lines, i)
  for _, read in ipairs(readers) do
    local block, after = read(lines, i)
    if block then return block, after end
  end
end

-- The lines up to an empty one or another block.
local function paragraph(lines, i)
  local words, at = { lines[i] }, i + 1
  while lines[at] and lines[at]:find "%S" and not other_block(lines, at) do
    words[#words + 1], at = lines[at], at + 1
  end
  return { kind = "paragraph", text = table.concat(words, " ") }, at
end

--- The blocks of a text.
---@param text string
---@return table[] blocks
function markdown.blocks(text)
  local lines, blocks, i = lines_of(text), {}, 1
  while lines[i] do
    if lines[i]:find "%S" and not lines[i]:find "^<!%-%-.*%-%->$" then
      local block, after = other_block(lines, i)
      if not block then block, after = paragraph(lines, i) end
      blocks[#blocks + 1], i = block, after
    else i = i + 1 end
  end
  return blocks
end

-- ==== spans ================================================================================

-- For each opening sign: patterns of whole spans, and their kinds.
local forms = {
  ["`"] = { { "^`([^`]+)`()", "code" } },
  ["*"] = { { "^%*%*(%S.-)%*%*()", "strong" }, { "^%*(%S.-)%*()", "emphasis" } },
  ["["] = { { "^%[([^%]]*)%]%(([^)%s]+)%)()", "link" } },
  ["<"] = { { "^<(https?://[^>]+)>()", "link" } },
}

-- The span that begins at a place, and the place after it.
local function span_at(text, at)
  for _, form in ipairs(forms[text:sub(at, at)]) do
    local inner, target, after = text:match(form[1], at)
    if inner and not after then target, after = nil, target end
    if inner then
      return { kind = form[2], text = inner, target = form[2] == "link" and (target or inner) or nil }, after
    end
  end
end

--- The spans of a block's text, in order. Their texts are plain.
---@param text string
---@return table[] spans
function markdown.spans(text)
  local spans, from, at = {}, 1, 1
  local function plain(upto)
    if upto >= from then spans[#spans + 1] = { kind = "plain", text = text:sub(from, upto) } end
  end
  while true do
    at = text:find("[`*%[<]", at)
    if not at then break end
    local span, after = span_at(text, at)
    if span then
      plain(at - 1)
      spans[#spans + 1] = span
      from, at = after, after
    else at = at + 1 end
  end
  plain(#text)
  return spans
end

--- A text without its markup.
---@param text string
---@return string
function markdown.plain(text)
  local out = {}
  for i, span in ipairs(markdown.spans(text)) do out[i] = span.text end
  return table.concat(out)
end

return markdown
