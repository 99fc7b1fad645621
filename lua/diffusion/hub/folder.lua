-- Folders that hold models: a path, or the name of a model in the cache of huggingface_hub. There
-- models--OWNER--NAME/refs/main has the name of a folder in snapshots/, whose files are links into
-- blobs/.
local core = require "diffusion.core"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"

local folder = {}

-- ==== folders ============================================================================

--- A folder that was listed.
---@class diffusion.hub_folder
---@field path string
---@field files table<string, boolean> the names of its files, also of links that lead nowhere
---@field folders table<string, boolean>

--- Lists a folder.
---@param path string
---@return diffusion.hub_folder|nil folder nil with a message if it can't be read
---@return string|nil message
function folder.list(path)
  local names, message = core.list(path)
  if not names then return nil, message end
  local out = { path = path:gsub("(.)/+$", "%1"), files = {}, folders = {} }
  for _, name in ipairs(names) do
    local sub = name:match "^(.*)/$"
    if sub then out.folders[sub] = true else out.files[name] = true end
  end
  return out
end

--- A path inside a folder.
---@param here diffusion.hub_folder
---@param name string
---@return string
function folder.join(here, name) return here.path .. "/" .. name end

--- A folder inside a folder, listed.
---@param here diffusion.hub_folder
---@param name string
---@return diffusion.hub_folder|nil
---@return string|nil message
function folder.below(here, name) return folder.list(folder.join(here, name)) end

-- ==== unfinished downloads ===============================================================

-- Programs add these to the name of a file while they fetch it.
local ENDINGS = { "incomplete", "part", "partial", "crdownload", "aria2", "download", "!ut" }

local function unfinished_in(here)
  for _, name in ipairs(here and opts.names(here.files) or {}) do
    for _, ending in ipairs(ENDINGS) do
      if name:sub(-#ending - 1) == "." .. ending then return folder.join(here, name) end
    end
  end
end

--- The path of a file that some program has not finished fetching, in a folder or in the cache
--- that it belongs to. nil if there is none.
---@param here diffusion.hub_folder
---@return string|nil
function folder.unfinished(here)
  local repository = here.path:match "^(.*)/snapshots/[^/]+" or here.path:match "^snapshots/" and "."
  return unfinished_in(here) or repository and unfinished_in((folder.list(repository .. "/blobs")))
    or unfinished_in((folder.below(here, ".cache/huggingface/download")))
end

--- The sentence about a file that isn't in a folder.
---@param here diffusion.hub_folder
---@param name string
---@return nil
---@return string message
function folder.missing(here, name)
  local unfinished = folder.unfinished(here)
  return legible.refused("%s: no such file%s", folder.join(here, name),
    unfinished and ("; the download of %s isn't finished"):format(unfinished) or "")
end

-- ==== the cache of huggingface_hub =======================================================

local function environment(name, below)
  local value = os.getenv(name)
  return value and value ~= "" and value .. (below or "") or nil
end

--- The folder in which huggingface_hub keeps what it fetched.
---@return string path
function folder.cache()
  return environment "HF_HUB_CACHE" or environment "HUGGINGFACE_HUB_CACHE" or environment("HF_HOME", "/hub")
    or environment("XDG_CACHE_HOME", "/huggingface/hub") or environment("HOME", "/.cache/huggingface/hub")
    or ".cache/huggingface/hub"
end

-- The first line of a small file.
local function line_of(path)
  local file <close>, message = core.map(path)
  if not file then return nil, message end
  if file:size() > 1000 then return legible.refused("%s: %d bytes, but a name was expected", path, file:size()) end
  return file:text(0, file:size()):match "^%s*(.-)%s*$"
end

local MAIN = "main" -- the branch that is taken unless a revision is named

-- The commit that a branch, a tag or a commit's own name stands for.
local function commit_of(path, snapshots, revision)
  if snapshots.folders[revision] then return revision end
  local file = path .. "/refs/" .. revision
  if core.place(file) == "file" then return line_of(file) end
  local names = opts.names(snapshots.folders)
  if #names == 1 and revision == MAIN then return names[1] end
  return legible.refused("%s: no revision '%s'; it has the snapshots %s", path, revision,
    #names > 0 and table.concat(names, ", ") or "none")
end

-- The snapshot of a model's folder in the cache.
local function snapshot(path, revision)
  local snapshots = folder.list(path .. "/snapshots")
  if not snapshots then return legible.refused("%s: holds no snapshots, so nothing was fetched yet", path) end
  local commit, message = commit_of(path, snapshots, revision)
  if not commit then return nil, message end
  if not snapshots.folders[commit] then
    return legible.refused("%s: revision '%s' is the snapshot '%s', which isn't there", path, revision, commit)
  end
  return folder.list(path .. "/snapshots/" .. commit)
end

local function cached_names(here)
  local names = {}
  for _, name in ipairs(opts.names(here.folders)) do
    local model = name:match "^models%-%-(.+)$"
    if model then names[#names + 1] = model:gsub("%-%-", "/") end
  end
  return names
end

-- Whether a folder is that of one model in the cache.
local function is_repository(here)
  local parts = here.folders
  return here.path:find "models%-%-[^/]+$" ~= nil or parts.snapshots and (parts.refs or parts.blobs)
end

-- A folder of the cache as the model in it, and any other folder as it is.
local function inside(here, revision)
  if is_repository(here) then return snapshot(here.path, revision or MAIN) end
  local names = cached_names(here)
  if #names == 0 and revision then
    return legible.refused("%s: revision = '%s', but only a model in the cache of huggingface_hub has revisions",
      here.path, revision)
  end
  if #names == 0 then return here end
  if #names > 1 then
    return legible.refused("%s: a cache of %d models: %s; name one, d.hub.load(\"%s\", { cache = \"%s\" })", here.path,
      #names, table.concat(names, ", "), names[1], here.path)
  end
  return snapshot(("%s/models--%s"):format(here.path, (names[1]:gsub("/", "--"))), revision or MAIN)
end

-- ==== finding ============================================================================

-- A name of a model there: NAME or OWNER/NAME.
local function is_name(text)
  return text:find "^%w[%w._-]*$" ~= nil or text:find "^%w[%w._-]*/%w[%w._-]*$" ~= nil
end

-- The sentence about a name of nothing. `here` is the list of the cache's folder, if there is one.
local function absent(name, root, here, cache)
  if name:find "^%a[%w+.-]*://" then
    return legible.refused("%s: an address; nothing is fetched here, but d.help \"files\" shows how to", name)
  end
  if cache and not is_name(name) and (core.place(name) == "file" or folder.list(name)) then
    return legible.refused("%s: a path, but with the option cache the name of a model in %s is expected", name, root)
  end
  if not is_name(name) then return legible.refused("%s: no such file or folder", name) end
  return legible.refused("%s: no such folder, and the cache %s %s; fetch it first, as d.help \"files\" shows", name,
    root, here and "doesn't hold a model of that name" or "isn't there")
end

local function named(name, o)
  local root = o.cache or folder.cache()
  local here = folder.list(root)
  if here and here.folders.hub and #cached_names(here) == 0 then here = folder.below(here, "hub") end
  local own = "models--" .. name:gsub("/", "--")
  if not (here and is_name(name) and here.folders[own]) then return absent(name, root, here, o.cache) end
  return snapshot(folder.join(here, own), o.revision or MAIN)
end

--- The folder of a model.
---@param name string a folder, a folder of the cache, or the name of a model in the cache
---@param o table {cache = the cache's folder or nil, revision = or nil}
---@return diffusion.hub_folder|nil folder nil with a message
---@return string|nil message
function folder.find(name, o)
  if o.revision and (o.revision:find("..", 1, true) or o.revision:find "^/") then
    return legible.refused("%s: '%s' is not the name of a revision", name, o.revision)
  end
  local here = not o.cache and folder.list(name)
  if here then return inside(here, o.revision) end
  return named(name, o)
end

return folder
