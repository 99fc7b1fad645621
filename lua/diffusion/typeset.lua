--- Formats Markdown for a terminal: wrapped to a width, with bold headings if the terminal has bold
--- type.
local markdown = require "diffusion.markdown"

local typeset = {}

local INDENT = 2
local NARROWEST = 16 -- columns of a table narrower than that are hard to read
local UNBROKEN = 36  -- code up to that, and to half a line, stays on one line

-- The columns that a text takes. Bold type takes none, and a letter in UTF-8 takes one.
local function columns(text)
  local shown = text:gsub("\27%[%d*m", "")
  return utf8.len(shown) or #shown
end

-- ==== words ================================================================================

local function bold(word, on) return on and "\27[1m" .. word .. "\27[0m" or word end

-- A link as text: the call that shows a guide, or the address of a web page.
local function link_text(span, o)
  local guide = span.target:match "^([%w_]+)%.md" or span.target:match "guide/([%w_]+)%.md"
  if guide == span.text then return o.call(guide) end
  if guide then return ("%s (%s)"):format(span.text, o.call(guide)) end
  if span.target:find "^https?:" and span.target ~= span.text then
    return ("%s <%s>"):format(span.text, span.target)
  end
  return span.text
end

-- The words of a span with the blanks before each. The blanks are "" if the first word touches the
-- text before it.
local function pieces(span, o)
  local out, text = {}, span.text
  if span.kind == "code" then text = "`" .. text .. "`" end
  if span.kind == "link" then text = link_text(span, o) end
  local whole = span.kind == "code" or span.kind == "link"
  if whole and columns(text) <= math.min(UNBROKEN, o.width // 2) then return { { "", text } }, false end
  for blank, word in text:gmatch "(%s*)(%S+)" do out[#out + 1] = { blank, word } end
  return out, text:find "%s$" ~= nil
end

-- The words of a text. Spans that touch make one word.
local function words_of(text, o)
  local words, open = {}, false
  for _, span in ipairs(markdown.spans(text)) do
    local list, blank_behind = pieces(span, o)
    for _, piece in ipairs(list) do
      local word = bold(piece[2], o.bold and span.kind == "strong")
      if open and piece[1] == "" then words[#words] = words[#words] .. word else words[#words + 1] = word end
      open = true
    end
    open = not blank_behind
  end
  return words
end

-- Words in lines of a width. The first line begins with `first`, the others with `rest`.
local function fill(words, width, first, rest)
  local lines, line, empty = {}, first, true
  for _, word in ipairs(words) do
    if not empty and columns(line) + 1 + columns(word) > width then
      lines[#lines + 1] = line
      line, empty = rest, true
    end
    line, empty = line .. (empty and "" or " ") .. word, false
  end
  lines[#lines + 1] = line
  return lines
end

local function append(out, lines) table.move(lines, 1, #lines, #out + 1, out) end

-- ==== tables ===============================================================================

-- Returns the natural width of each column of a table, and the width of its longest word.
local function measures(rows)
  local natural, least = {}, {}
  for _, row in ipairs(rows) do
    for j, words in ipairs(row) do
      natural[j] = math.max(natural[j] or 0, columns(table.concat(words, " ")))
      for _, word in ipairs(words) do least[j] = math.max(least[j] or 0, columns(word)) end
      least[j] = least[j] or 0
    end
  end
  return natural, least
end

local function sum(list)
  local total = 0
  for _, v in ipairs(list) do total = total + v end
  return total
end

-- The widths of the columns. The widest are narrowed until all fit. nil if they can't.
local function fitted(rows, room)
  local widths, least = measures(rows)
  for j, natural in ipairs(widths) do least[j] = math.min(natural, math.max(least[j], NARROWEST)) end
  while sum(widths) > room do
    local widest
    for j, w in ipairs(widths) do
      if w > least[j] and (not widest or w > widths[widest]) then widest = j end
    end
    if not widest then return nil end
    widths[widest] = widths[widest] - 1
  end
  return widths
end

local function side_by_side(out, row, widths)
  local cells, tallest = {}, 0
  for j, words in ipairs(row) do
    cells[j] = fill(words, widths[j], "", "")
    tallest = math.max(tallest, #cells[j])
  end
  for i = 1, tallest do
    local line = (" "):rep(INDENT)
    for j, width in ipairs(widths) do
      local cell = cells[j] and cells[j][i] or ""
      line = line .. cell .. (" "):rep(width - columns(cell) + 2)
    end
    out[#out + 1] = line:gsub("%s+$", "")
  end
end

-- A row as a list, if the columns don't fit side by side.
local function one_below_another(out, row, head, width)
  append(out, fill(row[1], width, "  ", "  "))
  for j = 2, #row do
    local words = table.move(head[j] or {}, 1, #(head[j] or {}), 1, {})
    if #words > 0 then words[#words] = words[#words] .. ":" end
    table.move(row[j], 1, #row[j], #words + 1, words)
    if #row[j] > 0 then append(out, fill(words, width, "    ", "      ")) end
  end
end

-- ==== blocks ===============================================================================

-- The function that formats each kind of block into lines.
local setters = {}

function setters.heading(out, block, o)
  local text = markdown.plain(block.text)
  local lines = fill(words_of(text, { call = o.call, width = o.width }), o.width, "", "")
  for _, line in ipairs(lines) do out[#out + 1] = bold(line, o.bold) end
  if not o.bold then out[#out + 1] = (block.level == 1 and "=" or "-"):rep(math.min(columns(text), o.width)) end
end

function setters.paragraph(out, block, o)
  append(out, fill(words_of(block.text, o), o.width, "", ""))
end

function setters.picture(out, block, o)
  append(out, fill(words_of("[picture: " .. block.text .. "]", o), o.width, "  ", "  "))
end

function setters.code(out, block)
  for line in (block.text .. "\n"):gmatch "(.-)\n" do
    out[#out + 1] = line == "" and "" or (" "):rep(INDENT) .. line
  end
end

function setters.list(out, block, o)
  for i, item in ipairs(block.items) do
    local mark = block.ordered and ("  %d. "):format(i) or "  - "
    append(out, fill(words_of(item, o), o.width, mark, (" "):rep(#mark)))
  end
end

function setters.table(out, block, o)
  local rows = { {} }
  for j, cell in ipairs(block.head) do rows[1][j] = words_of(cell, o) end
  for _, row in ipairs(block.rows) do
    rows[#rows + 1] = {}
    for j, cell in ipairs(row) do rows[#rows][j] = words_of(cell, o) end
  end
  local widths = fitted(rows, o.width - INDENT - 2 * (#block.head - 1))
  local head = table.remove(rows, 1)
  if not widths then
    for _, row in ipairs(rows) do one_below_another(out, row, head, o.width) end
    return
  end
  if #table.concat(block.head) > 0 then
    side_by_side(out, head, widths)
    out[#out + 1] = (" "):rep(INDENT) .. ("-"):rep(sum(widths) + 2 * (#widths - 1))
  end
  for _, row in ipairs(rows) do side_by_side(out, row, widths) end
end

--- Markdown as lines for a terminal. Code, and words longer than a line, are not broken.
---@param text string
---@param width integer columns of the terminal
---@param can_bold boolean if false, headings are underlined instead
---@param call function (name of a guide) -> the call that shows it
---@return string
function typeset.set(text, width, can_bold, call)
  local out, o = {}, { width = width, bold = can_bold, call = call }
  for i, block in ipairs(markdown.blocks(text)) do
    if i > 1 then out[#out + 1] = "" end
    setters[block.kind](out, block, o)
  end
  return table.concat(out, "\n")
end

return typeset
