-- Data sets: files of the usual formats, the digits that come with the library, toy sets, and sets of
-- your own tensors. If a file can't be read, the result is nil and a message.
local asset = require "diffusion.asset"
local core = require "diffusion.core"
local emoji = require "diffusion.data.emoji"
local folder = require "diffusion.data.folder"
local npy = require "diffusion.file.npy"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local legible = require "diffusion.legible"
local set = require "diffusion.data.set"
local signature = require "diffusion.file.signature"
local toy = require "diffusion.data.toy"

local data = { set = set.new, emoji = emoji, folder = folder, toy = toy }

local split_rules = opts.declare("data_split", {
  split = { one_of = { "train", "test" }, default = "train", text = "the part of the set" } })
local idx_rules = opts.declare("data_idx", { names = { "table", as = "string[]", text = "names of the classes" } })
local copy_rules = opts.declare("data_copy", { copy = rule.copy })

-- ---- IDX --------------------------------------------------------------------------------

local IDX = { idx = true, gzip = true }

-- A file in IDX format as { file, sizes }. Its header is checked before anything is inflated.
local function open_idx(path)
  local file, message = core.map(path)
  if not file then return nil, message end
  local sizes, why = file:idx_sizes()
  if not sizes then return legible.refused("%s: %s", path, signature.mismatch(file, "an IDX file", IDX) or why) end
  return { file = file, sizes = sizes, path = path }
end

local function read_idx(idx)
  local x, why = idx.file:idx()
  if not x then return legible.refused("%s: %s", idx.path, why) end
  return x
end

local function open_images(path)
  local idx, message = open_idx(path)
  if not idx then return nil, message end
  if #idx.sizes == 3 then idx.sizes[4] = 1 end -- the channel
  if #idx.sizes == 4 then return idx end
  return legible.refused("%s: images of 3 or 4 dimensions expected, got [%s]", path, table.concat(idx.sizes, ","))
end

local function open_labels(path, n)
  local idx, message = open_idx(path)
  if not idx then return nil, message end
  if #idx.sizes == 1 and idx.sizes[1] == n then return idx end
  return legible.refused("%s: labels [%s] for %d images", path, table.concat(idx.sizes, ","), n)
end

-- Labels from 0 as classes from 1.
local function as_classes(x, path, names)
  if names and x:numel() > 0 and x:max():item() >= #names then
    return legible.refused("%s: label %d, not in 0..%d", path, x:max():item(), #names - 1)
  end
  return (x + 1):to "i64"
end

local function read_classes(idx, names)
  local y, message = read_idx(idx)
  if not y then return nil, message end
  return as_classes(y, idx.path, names)
end

local function idx_set(name, images, labels, names)
  local pictures, message = open_images(images)
  if not pictures then return nil, message end
  local told, why
  if labels then
    told, why = open_labels(labels, pictures.sizes[1])
    if not told then return nil, why end
  end
  local x, trouble = read_idx(pictures)
  if not x then return nil, trouble end
  x = x:reshape(pictures.sizes)
  if not told then return set.new { x = x, name = name } end
  local class, fault = read_classes(told, names)
  if not class then return nil, fault end
  return set.new { x = x, class = class, names = names, name = name }
end

--- A set of images, with labels if a file is named, from IDX files (MNIST's format), gzipped or not.
---@param images string path of [n,H,W] or [n,H,W,C] bytes
---@param labels string|nil path of [n] bytes from 0; classes are one more
---@param options diffusion.data_idx_options?
---@return diffusion.set|nil set nil with a message
---@return string|nil message
function data.idx(images, labels, options)
  local o = opts.check("idx", options, idx_rules, 3)
  opts.path("idx", images)
  if labels ~= nil then opts.path("idx", labels, 2) end
  return idx_set(images, images, labels, o.names)
end

-- The first of the usual spellings that exists.
local function find_file(dir, stem)
  for _, ending in ipairs { "", ".gz" } do
    for _, name in ipairs { stem, (stem:gsub("%-idx", ".idx")) } do
      local path = ("%s/%s%s"):format(dir, name, ending)
      local file <close> = core.map(path)
      if file then return path end
    end
  end
end

-- The folder, and advice if the files aren't in it. A folder in the environment is the only one
-- that is searched, since another one may hold other data.
local function fashion_folder(dir)
  local named = os.getenv "DIFFUSION_DATA"
  local package = "; install Debian's package dataset-fashion-mnist, or name their folder in DIFFUSION_DATA"
  if dir then return dir, package end
  if named and named ~= "" then return named, ", which DIFFUSION_DATA names" end
  return "/usr/share/datasets/fashion-mnist", package
end

local FASHION = { "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
  "ankle boot" }

--- Fashion-MNIST (Xiao et al. 2017): 60,000 (test: 10,000) grey images 28 x 28 of 10 kinds of
--- clothes. The IDX files are read from `dir`, or else from $DIFFUSION_DATA, or else from Debian's
--- package.
---@param dir string|diffusion.data_split_options|nil the folder; or the options
---@param options diffusion.data_split_options?
---@return diffusion.set|nil set nil with a message if the files are missing
---@return string|nil message
function data.fashion_mnist(dir, options)
  if type(dir) == "table" then dir, options = nil, dir end
  local o = opts.check("fashion_mnist", options, split_rules, 2)
  if dir ~= nil then opts.path("fashion_mnist", dir) end
  local folder_name, why = fashion_folder(dir)
  local stem = o.split == "train" and "train" or "t10k"
  local images = find_file(folder_name, stem .. "-images-idx3-ubyte")
  local labels = find_file(folder_name, stem .. "-labels-idx1-ubyte")
  if not (images and labels) then
    return legible.refused("fashion_mnist: no %s-images-idx3-ubyte and %s-labels-idx1-ubyte, with .gz or without, "
      .. "in %s%s", stem, stem, folder_name, why)
  end
  return idx_set("fashion_mnist", images, labels, FASHION)
end

--- The digits that come with the library: 1,797 grey images 8 x 8 (Alpaydin & Kaynak 1998, UCI).
---@return diffusion.set set x u8 [1797,8,8,1], classes 1 to 10 named "0" to "9"
function data.digits()
  local names = {}
  for k = 1, 10 do names[k] = tostring(k - 1) end
  return assert(idx_set("digits", asset.path "digits-images-idx3-ubyte.gz",
    asset.path "digits-labels-idx1-ubyte.gz", names))
end

-- ---- CIFAR-10 ----------------------------------------------------------------------------

local CIFAR = { "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck" }
local RECORD = 1 + 3 * 32 * 32 -- a label, then the planes of red, green and blue

local function read_cifar(path)
  local file <close>, message = core.map(path)
  if not file then return nil, message end
  local n = file:size() // RECORD
  if n == 0 or n * RECORD ~= file:size() then
    return legible.refused("%s: %d bytes, not a number of records of %d", path, file:size(), RECORD)
  end
  local records = file:tensor("u8", { n, RECORD }, 0)
  local planes = records:narrow(2, 2, RECORD - 1):contiguous():reshape(n, 3, 32, 32)
  return planes:permute({ 1, 3, 4, 2 }):contiguous(), records:select(2, 1):contiguous()
end

--- CIFAR-10 (Krizhevsky 2009), the binary version: 50,000 (test: 10,000) RGB images 32 x 32.
---@param dir string the folder of data_batch_1.bin to data_batch_5.bin and test_batch.bin
---@param options diffusion.data_split_options?
---@return diffusion.set|nil set nil with a message if files are missing or damaged
---@return string|nil message
function data.cifar10(dir, options)
  local o = opts.check("cifar10", options, split_rules, 2)
  opts.path("cifar10", dir)
  local images, labels = {}, {}
  for k = 1, o.split == "train" and 5 or 1 do
    local path = o.split == "train" and ("%s/data_batch_%d.bin"):format(dir, k) or dir .. "/test_batch.bin"
    local x, y = read_cifar(path)
    if not x then return nil, y end
    images[k], labels[k] = x, y
  end
  local label = core.ops.cat(labels, 1)
  local class, message = as_classes(label, dir, CIFAR)
  if not class then return nil, message end
  return set.new { x = core.ops.cat(images, 1), class = class, names = CIFAR, name = "cifar10" }
end

-- ---- NumPy -------------------------------------------------------------------------------

--- NumPy's arrays: a .npy file's tensor, or the tensors of a .npz file by name. Some arrays of a
--- .npz fit no tensor: complex numbers, strings, records and objects. They are listed by pairs,
--- with dtype() and shape(), but indexing by the name of one is an error. Tensors are windows on
--- the mapped file if possible. If another program truncates the file meanwhile, this one ends
--- (SIGBUS). With copy = true they are copied into memory.
---@param path string
---@param options diffusion.data_copy_options?
---@return diffusion.tensor|table<string, diffusion.tensor>|nil x f16, f32, f64, u8 or i64 (other
---integers are widened to i64, bool to u8), of either byte order; nil with a message
---@return string|nil message
function data.arrays(path, options)
  local o = opts.check("arrays", options, copy_rules, 2)
  if opts.path("arrays", path):find "%.npz$" then return npy.load_all(path, o.copy) end
  return npy.load(path, o.copy)
end

-- The names of examples, classes from 1 and labels from 0 in .npz files.
local EXAMPLES, CLASSES, LABELS = { "x", "images", "data" }, { "class" }, { "labels", "label", "y" }

local function first_of(arrays, names)
  for _, name in ipairs(names) do if arrays[name] then return arrays[name] end end
end

local function parts_of(found)
  return { x = first_of(found, EXAMPLES), class = first_of(found, CLASSES), labels = first_of(found, LABELS) }
end

local function unnamed(path, arrays)
  local names = opts.names(arrays)
  return ("%s: none of its arrays is named %s; there are %s, which d.data.arrays reads"):format(path,
    table.concat(EXAMPLES, ", "), #names > 0 and table.concat(names, ", ") or "none")
end

--- A set from NumPy's files. A .npy file holds the examples. A .npz file holds them as x, images or
--- data. It may also hold their class (from 1), or their labels, label or y (from 0). As with
--- d.data.arrays, the file must not be truncated while the set is in use, unless copy = true.
---@param path string
---@param options diffusion.data_copy_options?
---@return diffusion.set|nil set x numbers [n,...], or u8 [n,H,W] or [n,H,W,C]; nil with a message
---@return string|nil message
function data.npy(path, options)
  local found, message = data.arrays(opts.path("npy", path), opts.check("npy", options, copy_rules, 2))
  if not found then return nil, message end
  if core.is_tensor(found) then found = { x = found } end
  local parts, trouble = fail.try(parts_of, found) -- one that no tensor holds is an error
  if not parts then return nil, trouble end
  local x, class, labels = parts.x, parts.class, parts.labels
  if not x then return legible.refused("%s", unnamed(path, found)) end
  if x:dtype() == "u8" and x:dim() == 3 then x = x:unsqueeze(4) end
  local made, why = fail.try(function()
    return set.new { x = x, class = class or labels and core.whole("label", labels) + 1, name = path }
  end)
  if not made then return legible.refused("%s: %s", path, why) end
  return made
end

return data
