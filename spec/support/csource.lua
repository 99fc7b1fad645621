-- C as text without comments, strings and preprocessor lines, and its parts at file level.
local csource = {}

local function blank(text) return (text:gsub("[^\n]", " ")) end

-- The end of the string or character that begins at `i`.
local function closing(text, i)
  local quote, at = text:sub(i, i), i + 1
  while at <= #text do
    local c = text:sub(at, at)
    if c == quote or c == "\n" then return at end
    at = at + (c == "\\" and 2 or 1)
  end
  return #text
end

-- Replaces comments, strings and characters by spaces. Lines stay.
local function without_text(text)
  local out, from = {}, 1
  while true do
    local i = text:find("[/\"']", from)
    if not i then break end
    local two, last = text:sub(i, i + 1), i
    if two == "/*" then last = select(2, text:find("*/", i + 2, true)) or #text
    elseif two == "//" then last = (text:find("\n", i, true) or #text + 1) - 1
    elseif text:sub(i, i) ~= "/" then last = closing(text, i) end
    out[#out + 1] = text:sub(from, i - 1) .. (two:find "^/[^/*]" and "/" or blank(text:sub(i, last)))
    from = last + 1
  end
  return table.concat(out) .. text:sub(from)
end

-- How much deeper a line is in braces at its end.
local function rise(line)
  return select(2, line:gsub("{", "")) - select(2, line:gsub("}", ""))
end

-- Replaces preprocessor lines by spaces. Later branches of an #if go too where the first one
-- opens braces that it doesn't close, since each branch opens them again.
local function without_branches(text)
  local out, open, depth, hidden = {}, {}, 0, nil
  for line in (text:gsub("\\\n", "\1")):gmatch "[^\n]*\n?" do
    local word = line:match "^%s*#%s*(%a+)"
    if word and word:find "^if" then open[#open + 1] = depth
    elseif word and word:find "^el" and not hidden and depth ~= open[#open] then hidden = #open
    elseif word == "endif" then
      if hidden == #open then hidden = nil end
      open[#open] = nil
    end
    local gone = word or hidden
    if not gone then depth = depth + rise(line) end
    line = line:gsub("\1", " \n")
    out[#out + 1] = gone and blank(line) or line
  end
  return table.concat(out)
end

--- C without comments, strings and characters, each replaced by spaces. Lines stay.
---@param text string
---@return string
function csource.bare(text) return without_text(text) end

--- The same without preprocessor lines. Every brace has its match.
---@param text string
---@return string
function csource.code(text) return without_branches(without_text(text)) end

--- The macros of a file.
---@param text string
---@return table<string, string[]> bodies by name, one for each #define
function csource.macros(text)
  local out = {}
  for line in (without_text(text):gsub("\\\n", " ")):gmatch "[^\n]+" do
    local name, body = line:match "^%s*#%s*define%s+([%w_]+)(.*)"
    if name then
      out[name] = out[name] or {}
      table.insert(out[name], (body:gsub("^%b()", "")))
    end
  end
  return out
end

--- The declarations and definitions at file level, in order.
---@param text string
---@return table[] parts { head = text up to the first brace, = or ;, body =, line =, lines =, ends = "{" | "=" | ";" }
function csource.parts(text)
  local out, at, code = {}, 1, csource.code(text)
  local line = 1
  while true do
    local from = code:find("%S", at)
    if not from then return out end
    local stop = code:find("[{;=]", from) or #code
    local sign, last = code:sub(stop, stop), stop
    if sign == "=" then
      local value = stop + 1
      while true do
        local i = code:find("[{;]", value)
        if not i then last = #code break end
        if code:sub(i, i) == ";" then last = i break end
        value = (select(2, code:find("%b{}", i)) or #code) + 1
      end
    elseif sign == "{" then
      last = select(2, code:find("^%b{}", stop)) or #code
    end
    line = line + select(2, code:sub(at, from - 1):gsub("\n", ""))
    local lines = select(2, code:sub(from, last):gsub("\n", ""))
    out[#out + 1] = { head = code:sub(from, stop - 1), body = code:sub(stop, last), ends = sign, line = line,
                      lines = lines + 1 }
    line, at = line + lines, last + 1
  end
end

return csource
