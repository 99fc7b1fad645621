-- Circles of calls between files of C. A file calls another if it uses a name that only the
-- other defines. Includes can't show such circles, because a contract page (op.h, binding.h)
-- is included by everyone.
local lengths = dofile "spec/support/lengths.lua"

local calls = {}

local function bare(text) return (text:gsub("/%*.-%*/", " "):gsub('"[^"\n]*"', '""')) end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

-- The file that defines each name, and the names that macros stand for.
local function definitions(files)
  local home, alias = {}, {}
  for path, text in pairs(files) do
    local code = bare(text)
    if path:find "%.c$" then
      for _, f in ipairs(lengths.functions(text)) do
        if f.name and f.name:find "^dfl?_" then home[f.name] = path end
      end
      for name in code:gmatch "\nconst [%w_]+ (df_[%w_]+) = {" do home[name] = path end
    end
    for name, stands in code:gmatch "#%s*define%s+([%w_]+)%s+(dfl?_[%w_]+)%s*\n" do alias[name] = stands end
  end
  return home, alias
end

--- Which file calls which.
---@param files table<string, string> text of each file, by path
---@return table<string, table<string, string>> graph caller -> called -> one of the names
function calls.graph(files)
  local home, alias = definitions(files)
  local graph = {}
  for path, text in pairs(files) do
    if path:find "%.c$" then
      graph[path] = {}
      for name in bare(text):gmatch "%f[%w_][%a_][%w_]*" do
        local called = home[name] and name or alias[name]
        local to = called and home[called]
        local known = to and graph[path][to]
        if to and to ~= path and not (known and known < called) then graph[path][to] = called end
      end
    end
  end
  return graph
end

local function told(graph, ring)
  local parts = { ring[1] }
  for i = 2, #ring do parts[i] = ("-> %s (%s)"):format(ring[i], graph[ring[i - 1]][ring[i]]) end
  return table.concat(parts, " ")
end

--- Reports each circle of calls that a walk in the order of paths finds.
---@param files table<string, string> text of each file, by path
---@param fault fun(format: string, ...)
function calls.check(files, fault)
  local graph, state, trail = calls.graph(files), {}, {}
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

return calls
