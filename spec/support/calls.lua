-- Finds circles of calls between files of C. A file calls another if it uses a name that only the
-- other defines. It may do so through a macro or through a function in a header. Includes can't
-- show such circles, because a contract page (op.h, binding.h) is included by everyone.
local csource = dofile "spec/support/csource.lua"

local calls = {}

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

-- The public name of a function or variable whose definition begins with `head`, or nil.
local function name_of(head, ends)
  for _, word in ipairs { "static", "extern", "typedef" } do
    if head:find("%f[%w_]" .. word .. "%f[^%w_]") then return nil end
  end
  if head:find "^%s*struct%s+[%w_]+%s*$" then return nil end
  if ends == "{" then return head:match "(dfl?_[%w_]+)%s*%(" end
  head = head:gsub("_Atomic%s*%b()", "int"):gsub("%b[]", "")
  if head:find("(", 1, true) then return head:match "%(%s*%*[%s%w_]-(dfl?_[%w_]+)%s*%)" end
  return head:match "%S[%s*]+(dfl?_[%w_]+)%s*$"
end

-- The public names that a part defines. A name may be written as a macro, defined more than once.
local function defined(part, macros)
  local names, plain = {}, true
  for word in part.head:gmatch "[%a_][%w_]*" do
    for _, body in ipairs(macros[word] or {}) do
      local stands = body:match "^%s*(dfl?_[%w_]+)%s*$"
      if stands then
        names[#names + 1], plain = name_of(part.head:gsub("%f[%w_]" .. word .. "%f[^%w_]", stands), part.ends), false
      end
    end
  end
  if plain then names[1] = name_of(part.head, part.ends) end
  return names
end

-- Words of a text, each once.
local function words(text, out)
  for word in text:gmatch "%f[%w_][%a_][%w_]*" do out[word] = true end
  return out
end

-- A header is a part of the files that include it if it has functions that are not inline.
local function is_part(parts)
  for _, part in ipairs(parts) do
    local inline = part.head:upper():find("INLINE", 1, true)
    if part.ends == "{" and part.head:find "%)%s*$" and not inline then return true end
    if part.ends == "=" then return true end
  end
  return false
end

-- Everything about the files that calls are found from.
local function read(files)
  local it = { parts = {}, macros = {}, expands = {}, part_of = {} }
  for path, text in pairs(files) do
    if path:find "%.[ch]$" then
      it.parts[path] = csource.parts(text)
      it.macros[path] = csource.macros(text)
    end
    if path:find "%.h$" then
      it.part_of[path] = is_part(it.parts[path])
      for name, bodies in pairs(it.macros[path]) do
        it.expands[name] = (it.expands[name] or "") .. " " .. table.concat(bodies, " ")
      end
      for _, part in ipairs(it.parts[path]) do
        local name = part.ends == "{" and part.head:match "([%w_]+)%s*%("
        if name then it.expands[name] = (it.expands[name] or "") .. " " .. part.body end
      end
    end
  end
  return it
end

-- A file and those headers that are parts of it.
local function unit(files, it, path, out)
  out = out or {}
  if out[path] then return out end
  out[path], out[#out + 1] = true, path
  for name in files[path]:gmatch '#%s*include%s+"([^"]+)"' do
    local here = path:match "^(.*/)" .. name
    local found = files["csrc/" .. name] and "csrc/" .. name or files[here] and here
    if found and it.part_of[found] then unit(files, it, found, out) end
  end
  return out
end

-- All names that a file uses. A macro or a function of a header uses the names in its body.
local function used(files, it, path)
  local out, mine = {}, {}
  for _, at in ipairs(unit(files, it, path)) do
    for name, bodies in pairs(it.macros[at]) do
      mine[name] = table.concat(bodies, " ")
      words(mine[name], out)
    end
    words(csource.code(files[at]), out)
  end
  local todo = sorted(out)
  while #todo > 0 do
    local name = table.remove(todo)
    for word in pairs(words(mine[name] or it.expands[name] or "", {})) do
      if not out[word] then
        out[word] = true
        todo[#todo + 1] = word
      end
    end
  end
  return out
end

-- The file that defines each public name.
local function definitions(files, it)
  local home = {}
  for path in pairs(files) do
    if path:find "%.c$" then
      local macros = it.macros[path]
      for _, at in ipairs(unit(files, it, path)) do
        for _, part in ipairs(it.parts[at]) do
          for _, name in ipairs(defined(part, macros)) do home[name] = path end
        end
      end
    end
  end
  return home
end

--- Which file calls which.
---@param files table<string, string> text of each file, by path
---@return table<string, table<string, string>> graph caller -> called -> one of the names
---@return table<string, string> defined_in the file that defines each public name
function calls.graph(files)
  local it = read(files)
  local home, graph = definitions(files, it), {}
  for path in pairs(files) do
    if path:find "%.c$" then
      graph[path] = {}
      for _, name in ipairs(sorted(used(files, it, path))) do
        local to = home[name]
        if to and to ~= path and not graph[path][to] then graph[path][to] = name end
      end
    end
  end
  return graph, home
end

local function told(graph, ring)
  local parts = { ring[1] }
  for i = 2, #ring do parts[i] = ("-> %s (%s)"):format(ring[i], graph[ring[i - 1]][ring[i]]) end
  return table.concat(parts, " ")
end

-- Reports each circle that a walk in the order of paths finds.
local function circles(graph, fault)
  local state, trail = {}, {}
  local function walk(path)
    trail[#trail + 1] = path
    state[path] = #trail
    for _, to in ipairs(sorted(graph[path])) do
      if not state[to] then walk(to)
      elseif state[to] ~= "done" then
        local ring = table.move(trail, state[to], #trail, 1, {})
        ring[#ring + 1] = to
        fault("circle of calls: %s", told(graph, ring))
      end
    end
    trail[#trail] = nil
    state[path] = "done"
  end
  for _, path in ipairs(sorted(graph)) do
    if not state[path] then walk(path) end
  end
end

-- The public functions that headers declare, each with its header.
local function declared(files)
  local out = {}
  for path, text in pairs(files) do
    for _, part in ipairs(path:find "%.h$" and csource.parts(text) or {}) do
      local name = part.ends == ";" and not part.head:find "^typedef" and part.head:match "^[%w_%s*]-(dfl?_[%w_]+)%s*%("
      if name then out[name] = path end
    end
  end
  return out
end

--- Reports circles of calls, and calls upward or across. Reports also declared functions whose
--- definition it can't see, as behind a macro that makes names.
---@param files table<string, string> text of each file, by path
---@param fault fun(format: string, ...)
---@param arrow fun(path: string, called: string) reports a call that goes up
function calls.check(files, fault, arrow)
  local graph, home = calls.graph(files)
  circles(graph, fault)
  for path, called in pairs(graph) do
    for to in pairs(called) do arrow(path, to) end
  end
  for name, path in pairs(declared(files)) do
    if not home[name] then fault("%s declares %s, which no file defines in plain sight", path, name) end
  end
end

return calls
