-- The rules of the house. A file names files of its own room or of a floor below. Neither
-- includes nor calls form a circle. Each outside header has one door, each type one header.
-- Functions and files are short.
local calls = dofile "spec/support/calls.lua"
local lengths = dofile "spec/support/lengths.lua"

local M = {}

local floor = {
  ["csrc/base"] = 1,
  ["csrc/kernels"] = 2, ["csrc/tensor"] = 2,
  ["csrc/engine"] = 3, ["csrc/io"] = 3, ["csrc/comm"] = 3,
  ["csrc/ops"] = 4,
  ["csrc/nn"] = 5, ["csrc/process"] = 5,
  ["csrc/binding"] = 6,
  ["lua/diffusion"] = 7.3,
  ["examples"] = 8,
}
-- The floors 7a, 7b and 7d of the front room, by file or folder. All others stand on 7c.
local front = {
  [7.1] = { "legible", "fail", "kind", "renamed", "opts", "rule", "lookup", "answer", "object", "asset", "warning" },
  [7.2] = { "file", "text" },
  [7.4] = { "hub", "pipeline", "trainer", "checkpoint", "report", "progress", "repl", "cli", "prompt", "command",
            "help", "guide", "reference", "init" },
}
local front_floor = {}
for height, names in pairs(front) do
  for _, name in ipairs(names) do front_floor[name] = height end
end

local strangers = { ["csrc/engine"] = "csrc/tensor" }   -- a floor below, yet not to be named

local binding, base, gemm = { "^csrc/binding/" }, { "^csrc/base/" }, { "^csrc/engine/gemm%.c$" }
local intrinsics = { "^csrc/kernels/", "^csrc/base/cpu%.c$" }
local door = {   -- by base name, however the header is found
  ["lua.h"] = binding, ["lauxlib.h"] = binding, ["lualib.h"] = binding, ["luaconf.h"] = binding,
  ["cblas.h"] = gemm, ["dlfcn.h"] = gemm,
  ["pthread.h"] = base, ["threads.h"] = base,
  ["immintrin.h"] = intrinsics, ["arm_neon.h"] = intrinsics, ["cpuid.h"] = intrinsics,
  ["png.h"] = { "^csrc/io/png%.c$" }, ["turbojpeg.h"] = { "^csrc/io/jpeg%.c$" }, ["zlib.h"] = { "^csrc/io/" },
  ["mman.h"] = { "^csrc/io/map%.c$" },
  ["mpi.h"] = { "^csrc/comm/comm%.h$" },
  ["setjmp.h"] = { "^csrc/io/png%.c$" }, ["omp.h"] = {},
}
local outcast = { "abort", "exit", "_exit", "printf", "fprintf", "puts", "perror", "setjmp", "longjmp" }
local jumps = { setjmp = true, longjmp = true }   -- libpng's, and its alone

local function room(path)
  return path:match "^csrc/[^/]+" or path:match "^lua/diffusion" or path:match "^[^/]+"
end

local function matches(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

local function without_comments(path, text)
  if path:find "%.lua$" then return (text:gsub("%-%-[%(%[]?%[(=*)%[.-%]%1%]", ""):gsub("%-%-[^\n]*", "")) end
  return (text:gsub("/%*.-%*/", ""):gsub("//[^\n]*", ""))
end

local function includes(files, path, fault)
  local names = {}
  for name in files[path]:gmatch '#%s*include%s+"([^"]+)"' do
    local here = path:match "^(.*/)" .. name
    local found = files["csrc/" .. name] and "csrc/" .. name or files[here] and here
    if found then names[#names + 1] = found
    else fault("%s includes \"%s\", which is no file here", path, name) end
  end
  for name in files[path]:gmatch "#%s*include%s+<([^>]+)>" do
    local place = door[name:match "[^/]+$"]
    if place and not matches(path, place) then fault("%s opens <%s>, which has its own door", path, name) end
  end
  return names
end

-- The file that a required name stands for, nil with a fault where it may not be required.
local function required(files, path, name, fault)
  local outside = path:find "^examples/" or path == "lua/diffusion/cli.lua"
  local stem = "lua/diffusion" .. name:gsub("%.", "/")
  if outside then
    if name == "" then return "lua/diffusion/init.lua" end
    return fault("%s requires \"diffusion%s\"; it may know only \"diffusion\"", path, name)
  end
  if name == ".core" then return "csrc/binding/linit.c" end
  if name == "" then return fault("%s requires the front door itself", path) end
  if files[stem .. ".lua"] then return stem .. ".lua" end
  if files[stem .. "/init.lua"] then return stem .. "/init.lua" end
  return fault("%s requires diffusion%s, which is no file here", path, name)
end

-- Files that may compute the name of a module: the front door, and the search for a network.
local computing = { ["lua/diffusion/init.lua"] = true, ["lua/diffusion/nn/family.lua"] = true }

-- The names of modules that follow each `word`, as in require "a", require("a"),
-- pcall(require, "a") and package.loaded["a"]. unclear() hears of a name that is not written out.
local function modules(code, word, unclear)
  local names = {}
  for at in code:gmatch("%f[%w_]" .. word .. "%f[^%w_]()") do
    local rest = code:sub(at, at + 200):gsub("^%s*[(,]%s*", "")
    rest = rest:gsub("^%s+", ""):gsub("^%[%s*(['\"])", "%1")
    local _, name, after = rest:match "^(['\"])(.-)%1%s*[)%]]?%s*(%.?%.?)"
    if not name then name, after = rest:match "^%[%[(.-)%]%]%s*[)%]]?%s*(%.?%.?)" end
    if name and after ~= ".." then names[#names + 1] = name
    else unclear() end
  end
  return names
end

local function requires(files, path, fault)
  local names, code = {}, without_comments(path, files[path])
  local function unclear() if not computing[path] then fault("%s computes a module's name", path) end end
  for _, name in ipairs(modules(code, "require", unclear)) do
    local part = name:match "^diffusion(%f[^%w_].*)"
    if part then names[#names + 1] = required(files, path, part, fault) end
  end
  for _, name in ipairs(modules(code, "package%.loaded", function() end)) do
    local part = name:match "^diffusion(%..*)"
    if part and part ~= ".core" then names[#names + 1] = required(files, path, part, fault) end
  end
  return names
end

-- A number, higher on a higher floor: 7.1 to 7.4 in the front room. nil for a file on no floor.
local function floor_of(path)
  local name = path:match "^lua/diffusion/([^/.]+)"
  return name and front_floor[name] or floor[room(path)]
end

local function arrow(path, name, fault)
  local a, b = room(path), room(name)
  local here, there = floor_of(path), floor_of(name)
  if not (here and there) then fault("%s names %s: one of them stands on no floor", path, name)
  elseif here < there then fault("%s names %s, a floor above it", path, name)
  elseif here == there and a ~= b then fault("%s names %s, across the landing", path, name)
  elseif strangers[a] == b then fault("%s names %s, which its room may not know", path, name) end
end

local function circles(graph, order, fault)
  local state = {}
  local function walk(path, trail)
    if state[path] == "done" or not graph[path] then return end
    if state[path] == "open" then return fault("circle: %s", trail) end
    state[path] = "open"
    for _, name in ipairs(graph[path]) do walk(name, trail .. " -> " .. name) end
    state[path] = "done"
  end
  for _, path in ipairs(order) do walk(path, path) end
end

local function manners(path, text, fault)
  local code = without_comments(path, text)
  for _, word in ipairs(outcast) do
    local fine = jumps[word] and matches(path, door["setjmp.h"])
    if not fine and code:find("%f[%w_]" .. word .. "%s*%(") then fault("%s calls %s", path, word) end
  end
end

-- The name of a public type has one meaning: one header declares it.
local function types(files, order, fault)
  local home = {}
  for _, path in ipairs(order) do
    local text = path:find "%.h$" and without_comments(path, files[path]) or ""
    for name in text:gmatch "\n}%s*(dfl?_[%w_]+)%s*;" do
      local other = home[name]
      if other then fault("%s and %s both declare %s", other, path, name) end
      home[name] = path
    end
  end
end

-- The faults in order. A call upward shows twice, by its include too.
local function sorted_once(faults)
  table.sort(faults)
  local out = {}
  for _, line in ipairs(faults) do
    if line ~= out[#out] then out[#out + 1] = line end
  end
  return out
end

--- Checks files given as a table from path to text.
---@param files table<string, string>
---@return string[] faults, sorted; empty when the house stands
function M.check(files)
  local faults, order, graph = {}, {}, {}
  local function fault(...) faults[#faults + 1] = string.format(...) end
  for path in pairs(files) do order[#order + 1] = path end
  table.sort(order)
  for _, path in ipairs(order) do
    local lua = path:find "%.lua$"
    graph[path] = (lua and requires or includes)(files, path, fault)
    for _, name in ipairs(graph[path]) do arrow(path, name, fault) end
    if not lua then
      lengths.check(path, files[path], fault)
      manners(path, files[path], fault)
    end
  end
  circles(graph, order, fault)
  calls.check(files, fault, function(path, called) arrow(path, called, fault) end)
  types(files, order, fault)
  return sorted_once(faults)
end

--- Reads the project's sources, from its root.
---@return table<string, string> text of each file, by path
function M.read()
  local files = {}
  local list = io.popen "find csrc lua examples -name '*.[ch]' -o -name '*.lua' 2>/dev/null"
  for path in list:lines() do
    local file <close> = assert(io.open(path))
    files[path] = file:read "a"
  end
  list:close()
  return files
end

return M
