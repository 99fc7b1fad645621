-- A folder of pictures as a set: the class of a picture is the sub-folder it lies in.
local buckets = require "diffusion.data.buckets"
local captions = require "diffusion.data.captions"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"
local pictures = require "diffusion.data.pictures"

local READ = { png = true, jpg = true, jpeg = true, jpe = true, jfif = true }
local OTHER = { gif = true, bmp = true, webp = true, tif = true, tiff = true, avif = true, heic = true }

local function extension(name) return legible.lower(name:match "%.([^.]+)$" or "") end

-- ---- finding ---------------------------------------------------------------------------

-- The pictures of a folder: those directly in it, those in deeper folders, and files of other formats
-- in either. Each is a list of paths.
local function found() return { here = {}, below = {}, other = {} } end

-- Lists a folder and those in it. A folder that several links lead to is listed once, so circles of
-- links end.
local function walk(into, path, list, seen)
  local names, id = core.list(path)
  if not names then return nil, id end
  if seen[id] then return into end
  seen[id] = true
  for _, name in ipairs(names) do
    local sub, whole = name:match "^(.*)/$", path .. "/" .. name
    if sub then
      local done, message = walk(into, path .. "/" .. sub, into.below, seen)
      if not done then return nil, message end
    elseif READ[extension(name)] then list[#list + 1] = whole
    elseif OTHER[extension(name)] then into.other[#into.other + 1] = whole end
  end
  return into
end

-- The pictures of each sub-folder, in order of the names, and of the folder itself.
local function survey(dir)
  local names, id = core.list(dir)
  if not names then return nil, id end
  local own, subs = found(), {}
  for _, name in ipairs(names) do
    local sub = name:match "^(.*)/$"
    if sub then
      local inside = found()
      local done, message = walk(inside, dir .. "/" .. sub, inside.here, { [id] = true })
      if not done then return nil, message end
      inside.name = sub
      subs[#subs + 1] = inside
    elseif READ[extension(name)] then own.here[#own.here + 1] = dir .. "/" .. name
    elseif OTHER[extension(name)] then own.other[#own.other + 1] = dir .. "/" .. name end
  end
  return own, subs
end

local function add(to, paths, class)
  for _, path in ipairs(paths) do to[#to + 1] = { path = path, class = class } end
end

-- ---- choosing --------------------------------------------------------------------------

-- Pictures without classes, and those that are left out: { list, why }.
local function without_classes(own, subs, o)
  local list, deeper, left = {}, {}, {}
  add(list, own.here)
  for _, sub in ipairs(subs) do
    add(o.recursive and list or deeper, sub.here)
    add(o.recursive and list or deeper, sub.below)
  end
  left[1] = { deeper, "in its folders", "recursive = true takes them" }
  return list, left
end

-- Pictures with the numbers of their folders, and those that are left out.
local function with_classes(own, subs, o)
  local list, outside, deeper = {}, {}, {}
  add(outside, own.here)
  for k, sub in ipairs(subs) do
    add(list, sub.here, k)
    add(o.recursive and list or deeper, sub.below, k)
  end
  return list, {
    { outside, "outside the folders of classes", "classes = false takes all pictures without classes" },
    { deeper, "in folders of a class's folder", "recursive = true takes them for that class" },
  }
end

local function others(own, subs)
  local all = {}
  add(all, own.other)
  for _, sub in ipairs(subs) do add(all, sub.other) end
  return { all, "in neither PNG nor JPEG", "save them as PNG" }
end

-- A message about pictures that are left out, or nil if there are none or `skip` is given.
local function complaint(dir, left, o)
  for _, group in ipairs(o.skip and {} or left) do
    local n = #group[1]
    if n > 0 then
      return legible.said("%s: %d picture%s %s, as %s; %s, skip = true leaves them out", dir, n, n == 1 and "" or "s",
        group[2], group[1][1].path, group[3])
    end
  end
end

local function names_of(subs)
  local names = {}
  for k, sub in ipairs(subs) do names[k] = sub.name end
  return names
end

-- Without a picture in any sub-folder there are no classes.
local function any_picture(subs)
  for _, sub in ipairs(subs) do if #sub.here + #sub.below > 0 then return true end end
  return false
end

-- The pictures { path, class }, and the names of their classes, if they have any.
local function find_pictures(dir, o)
  local own, subs = survey(dir)
  if not own then return nil, subs end
  local classed = o.classes and any_picture(subs)
  local list, left = (classed and with_classes or without_classes)(own, subs, o)
  left[#left + 1] = others(own, subs)
  local message = complaint(dir, left, o)
  if message then return nil, message end
  if #list == 0 then return legible.refused("%s: no PNG or JPEG pictures here, nor in its folders", dir) end
  return list, classed and names_of(subs) or nil
end

-- ---- options ---------------------------------------------------------------------------

local function sides_of(size)
  if type(size) ~= "table" then return size, size end
  for i = 1, math.max(2, #size) do
    local n = math.tointeger(size[i])
    if i > 2 or not n or n < 1 or n > 65535 then
      fail.raise("folder: size is n or {height, width}, whole numbers in 1..65535, got %s at %d of %d",
        kind.shown(size[i]), i, #size)
    end
  end
  return math.tointeger(size[1]), math.tointeger(size[2])
end

local rules = opts.declare("data_folder", {
  size = { "integer|table", min = 1, max = 65535, as = "integer|integer[]",
    default_text = "as they are, all of one size",
    text = "n or {height, width}: each picture is resized and cut to that form" },
  crop = { one_of = { "centre", "random" }, default = "centre",
    text = "the part of a picture that stays: its middle, or another one each time by the seed of the batches" },
  buckets = buckets.rule, captions = captions.rule,
  channels = { "integer", default = 3, min = 1, max = 3, text = "3 (RGB) or 1 (grey)" },
  recursive = { "boolean", default = false,
    text = "takes pictures of any depth, for the class of the outermost folder" },
  classes = { "boolean", default = true, text = "sub-folders are classes" },
  skip = { "boolean", default = false, text = "leaves out in silence what would be an error" },
  upright = { "boolean", default = true, text = "turned as the files' EXIF says; false leaves them as stored" },
})

local function checked(options)
  local o = opts.check("folder", options, rules, 2)
  if o.channels == 2 then fail.raise("folder: channels are 1 (grey) or 3 (RGB), got 2") end
  if o.buckets and o.size then fail.raise "folder: size and buckets; one of the two expected" end
  o.height, o.width = sides_of(o.size)
  if o.buckets then o.buckets = buckets.of(o.buckets) end
  if o.crop == "random" and not (o.height or o.buckets) then
    fail.raise 'folder: crop = "random" needs a size or buckets'
  end
  return o
end

-- ---- the set -----------------------------------------------------------------------------

-- The paths of the pictures, with their captions and classes.
local function described(dir, list, names, texts)
  local out = { names = names, name = dir, captions = texts, paths = {} }
  local class = names and {}
  for i, picture in ipairs(list) do
    out.paths[i] = picture.path
    if class then class[i] = picture.class end
  end
  out.class = class
  return out
end

--- A set of the PNG and JPEG pictures in a folder. Its sub-folders are the classes, numbered from 1
--- in byte order of their names. A sub-folder without pictures keeps its number. Without a picture
--- in any sub-folder there are no classes. It is an error if a picture would be left out. That
--- happens outside the folders of classes, in deeper folders, and to other formats. Names that
--- begin with a dot are ignored. Links are followed, to each folder once per class. A picture that
--- can't be read is an error too. With captions, each picture has a text, and `.captions` of the
--- batches has those of the last batch. With buckets, pictures keep their shapes. Each is resized until
--- it covers the nearest size of equal area, and a batch has pictures of one size.
---@param dir string
---@param options diffusion.data_folder_options?
---@return diffusion.set|nil set x u8 [n,H,W,C], or no x with buckets and with random crops; nil with a message
---@return string|nil message
return function(dir, options)
  local o = checked(options)
  opts.path("folder", dir)
  local list, names = find_pictures(dir, o)
  if not list then return nil, names end
  local texts
  if o.captions then
    list, texts = captions.of(dir, list, o.captions, o.skip)
    if not list then return nil, texts end
  end
  return pictures.set(list, o, described(dir, list, names, texts))
end
