-- Measures the length of functions in C by counting braces, and finds those that are too
-- long. A function begins at the line of its head and ends at its last brace.
local lengths = {}

local longest_function, longest_file = 60, 600

local function blank(text) return (text:gsub("[^\n]", " ")) end

-- Replaces comments, strings, characters and preprocessor lines by spaces. Lines stay,
-- and every remaining brace belongs to code.
local function bare(text)
  text = text:gsub("/%*.-%*/", blank):gsub("//[^\n]*", blank)
  text = text:gsub("\\\\", "  "):gsub("\\[\"']", "  "):gsub("'[^'\n]*'", blank):gsub('"[^"\n]*"', blank)
  return (("\n" .. text):gsub("\n#[^\n]*\\\n[^\n]*", blank):gsub("\n[ \t]*#[^\n]*", blank):sub(2))
end

--- The functions of a file, in order.
---@param text string C
---@return table[] functions { name, first line, how many lines }
function lengths.functions(text)
  local out, depth, line, head, open = {}, 0, 1, "", nil
  local first -- line on which the head begins
  for c in bare(text):gmatch "." do
    if c == "\n" then line = line + 1 end
    if depth == 0 then
      if c == "{" and head:find "%)%s*$" then open = { head:match "([%w_]+)%s*%(", first } end
      if c == ";" or c == "{" then head, first = "", nil
      elseif head ~= "" or not c:find "%s" then
        head, first = head .. c, first or line
      end
    end
    if c == "{" then depth = depth + 1 end
    if c == "}" then
      depth = depth - 1
      head, first = "", nil
      if depth == 0 and open then
        out[#out + 1] = { name = open[1], line = open[2], lines = line - open[2] + 1 }
        open = nil
      end
    end
  end
  return out
end

--- Reports functions and files that are too long.
---@param path string
---@param text string C
---@param fault fun(format: string, ...)
function lengths.check(path, text, fault)
  for _, f in ipairs(lengths.functions(text)) do
    if f.lines > longest_function and not path:find "^csrc/kernels/" and not path:find "^csrc/engine/" then
      fault("%s:%d: %s is %d lines long", path, f.line, f.name, f.lines)
    end
  end
  local _, lines = text:gsub("\n", "")
  if lines > longest_file then fault("%s is %d lines long", path, lines) end
end

--- The shares of short functions, outside of kernels/.
---@param files table<string, string> text of each file, by path
---@return number under12, number under30, integer count
function lengths.shares(files)
  local under12, under30, count = 0, 0, 0
  for path, text in pairs(files) do
    if path:find "^csrc/.*%.c$" and not path:find "^csrc/kernels/" then
      for _, f in ipairs(lengths.functions(text)) do
        count = count + 1
        if f.lines < 12 then under12 = under12 + 1 end
        if f.lines < 30 then under30 = under30 + 1 end
      end
    end
  end
  return under12 / count, under30 / count, count
end

return lengths
