--- Captures the output of print and io.stdout while fn runs, as one text.
---@param fn function
---@param ... any its arguments
---@return string
return function(fn, ...)
  local text, print_, stdout = {}, print, io.stdout
  local function write(_, ...)
    for _, v in ipairs { ... } do text[#text + 1] = tostring(v) end
  end
  rawset(io, "stdout", { write = write })
  rawset(_G, "print", function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    text[#text + 1] = table.concat(parts, "\t", 1, parts.n) .. "\n"
  end)
  local ok, message = pcall(fn, ...)
  rawset(io, "stdout", stdout)
  rawset(_G, "print", print_)
  assert(ok, message)
  return (table.concat(text):gsub("\n$", ""))
end
