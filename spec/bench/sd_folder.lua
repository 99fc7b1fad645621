--- The folder of Stable Diffusion that the workers read: written when it is first asked for. It is removed at the end
--- unless the settings name it.
package.path = "./?.lua;" .. package.path

local child = require "spec.support.child"
local full = require "spec.support.full_folder"
local settings = require "settings"

local sd_folder = {}
local path

local function is_written(root)
  local f = io.open(root .. "/model_index.json")
  return f and f:close() or false
end

-- Written aside, so that an interrupted run leaves no part of a folder.
local function kept(root)
  if is_written(root) then return root end
  local aside = root .. ".part"
  child.remove(aside)
  assert(os.execute("mkdir -p " .. child.quote(aside)))
  full.make(aside)
  assert(os.rename(aside, root))
  return root
end

function sd_folder.path()
  path = path or (settings.sd and kept(settings.sd) or full.make())
  return path
end

function sd_folder.remove()
  if path and path ~= settings.sd then child.remove(path) end
end

return sd_folder
