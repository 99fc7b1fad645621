-- Runs other processes for specs: the same Lua, with the modules of the tree.
local child = {}

function child.quote(word) return "'" .. tostring(word):gsub("'", [['\'']]) .. "'" end

--- Makes a temporary folder; child.remove removes it.
function child.folder()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. child.quote(path)))
  return path
end

function child.remove(folder) os.execute("rm -rf " .. child.quote(folder)) end

function child.write(path, bytes)
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
end

--- Reads a file; nil if it does not exist.
function child.read(path)
  local f <close> = io.open(path, "rb")
  return f and f:read "a"
end

local here = assert(io.popen "pwd"):read "l"

-- Makes relative search paths work in another folder.
local function rooted(path)
  return (path:gsub("[^;]+", function(entry)
    return entry:sub(1, 1) == "/" and entry or here .. "/" .. entry
  end))
end

--- True if a program is installed. Plots need one that may be missing.
function child.has(program)
  return os.execute(("command -v %s >/dev/null"):format(child.quote(program))) == true
end

--- The command that runs a script with this process's modules.
---@param script string path
---@param options table? {folder to run in, arguments = list, env = "NAME=value ..."}
function child.command(script, options)
  local o = options or {}
  local words = {}
  for i, word in ipairs(o.arguments or {}) do words[i] = child.quote(word) end
  return ("cd %s && exec env LUA_PATH_5_4=%s LUA_CPATH_5_4=%s %s %s %s %s"):format(
    child.quote(o.folder or "."), child.quote(rooted("./?.lua;" .. package.path)),
    child.quote(rooted(package.cpath)), o.env or "", child.quote(arg[-1]), child.quote(script),
    table.concat(words, " "))
end

--- Runs a script to its end.
---@return string text what it wrote, errors too
---@return integer|string how its exit code, or "signal 9"
function child.run(script, options)
  local pipe = assert(io.popen("exec 2>&1; " .. child.command(script, options)))
  local text = pipe:read "a"
  local _, what, code = pipe:close()
  return text, what == "signal" and "signal " .. code or code
end

--- Writes a script's text to a folder after replacing {old, new, ...} in it. Each old text must occur.
---@param path string
---@param folder string
---@param replaced string[] old text, new text, in turn
---@return string path of the copy
function child.copy(path, folder, replaced)
  local text = assert(child.read(path))
  for i = 1, #replaced, 2 do
    local before = text
    text = text:gsub(replaced[i]:gsub("%p", "%%%0"), (replaced[i + 1]:gsub("%%", "%%%%")))
    assert(text ~= before, ("%s has no %q"):format(path, replaced[i]))
  end
  local copy = folder .. "/" .. path:match "[^/]+$"
  child.write(copy, text)
  return copy
end

--- Runs such a copy, which must succeed. Returns its output.
---@param path string
---@param folder string
---@param replaced string[] as child.copy's
---@param env string? as child.command's
---@return string
function child.shortened(path, folder, replaced, env)
  local copy = child.copy(path, folder, replaced)
  local out, code = child.run(copy, { folder = folder, env = env })
  assert(code == 0, out)
  return out
end

return child
