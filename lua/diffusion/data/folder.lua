-- A folder of pictures as a set: the class of a picture is the sub-folder it lies in.
local core = require "diffusion.core"
local image = require "diffusion.image"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local set = require "diffusion.data.set"

local EXTENSION = { png = true, jpg = true, jpeg = true }

local function is_picture(name)
  return EXTENSION[legible.lower(name:match "%.([^.]+)$" or "")]
end

-- Adds the pictures right in `path` to the list.
local function add_pictures(list, path, names, class)
  for _, name in ipairs(names) do
    if is_picture(name) then list[#list + 1] = { path = path .. "/" .. name, class = class } end
  end
end

-- Pictures by class; where there are no sub-folders with pictures, all of none.
local function find_pictures(dir)
  local names, message = core.list(dir)
  if not names then return nil, message end
  local list, classes = {}, {}
  for _, name in ipairs(names) do
    local sub = name:match "^(.*)/$"
    if sub then
      local inside, why = core.list(dir .. "/" .. sub)
      if not inside then return nil, why end
      local before = #list
      add_pictures(list, dir .. "/" .. sub, inside, #classes + 1)
      if #list > before then classes[#classes + 1] = sub end
    end
  end
  if #classes == 0 then add_pictures(list, dir, names, nil) end
  if #list == 0 then return legible.refused("%s: no PNG or JPEG pictures here, nor in its folders", dir) end
  return list, classes
end

local function fitted(path, o)
  local x, message = image.read(path, o.channels)
  if not x then return nil, message end
  if o.height then return core.picture_fit(x, o.height, o.width) end
  return x
end

local function read_all(list, o)
  local all, H, W
  for i, picture in ipairs(list) do
    local x, message = fitted(picture.path, o)
    if not x then return nil, message end
    if not all then
      H, W = x:size(1), x:size(2)
      all = core.zeros({ #list, H, W, o.channels }, { dtype = "u8" })
    end
    if x:size(1) ~= H or x:size(2) ~= W then
      return legible.refused("%s is %d x %d pixels, those before are %d x %d; give a size to make them one",
        picture.path, x:size(2), x:size(1), W, H)
    end
    all:select(1, i):copy_(x)
  end
  return all
end

--- A set of the PNG and JPEG pictures in a folder. Sub-folders, in order of their names, are
--- the classes; without any, there are no classes.
---@param dir string
---@param options table|nil size = n or {height, width}: each picture is cut to that form around its
---middle and resized (as they are if not given: then all must have one size); channels = 3 (RGB) or 1 (grey)
---@return diffusion.set|nil set x u8 [n,H,W,C]; nil with a message
---@return string|nil message
return function(dir, options)
  local o = opts.check("folder", options, {
    size = { "integer|table", min = 1, max = 65535 },
    channels = { "integer", default = 3, min = 1, max = 3 },
  }, 2)
  opts.path("folder", dir)
  if o.channels == 2 then opts.fail("folder: channels are 1 (grey) or 3 (RGB), got 2") end
  local size = type(o.size) == "table" and o.size or { o.size, o.size }
  local list, names = find_pictures(dir)
  if not list then return nil, names end
  local x, message = read_all(list, { channels = o.channels, height = size[1], width = size[2] })
  if not x then return nil, message end
  local class
  if #names > 0 then
    class = {}
    for i, picture in ipairs(list) do class[i] = picture.class end
  end
  return set.new { x = x, class = class, names = class and names, name = dir }
end
