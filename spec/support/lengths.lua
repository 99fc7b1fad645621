-- Measures the length of functions in C and finds those that are too long. A function begins
-- at the line of its head and ends at its last brace.
local csource = dofile "spec/support/csource.lua"

local lengths = {}

local longest_function, longest_file = 60, 600

--- The functions of a file, in order.
---@param text string C
---@return table[] functions { name, first line, how many lines }
function lengths.functions(text)
  local out = {}
  for _, part in ipairs(csource.parts(text)) do
    if part.ends == "{" and part.head:find "%)%s*$" then
      out[#out + 1] = { name = part.head:match "([%w_]+)%s*%(", line = part.line, lines = part.lines }
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
