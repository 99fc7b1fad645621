--- The folder of Stable Diffusion that the workers read: written when it is first asked for, removed at the end.
package.path = "./?.lua;" .. package.path

local child = require "spec.support.child"
local full = require "spec.support.full_folder"

local sd_folder = {}
local path

function sd_folder.path()
  path = path or full.make()
  return path
end

function sd_folder.remove()
  if path then child.remove(path) end
end

return sd_folder
