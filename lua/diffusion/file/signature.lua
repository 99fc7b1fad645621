-- The kind of a file, recognised by its first bytes. Error messages name it if another kind was
-- wanted.
local legible = require "diffusion.legible"
local u64 = require "diffusion.file.u64"

local signature = {}

local HEAD = 512 -- bytes at which a file's kind is seen

-- kind, its first bytes, its name in messages, and the function that reads it
local kinds = {
  { "png", "\x89PNG\r\n\x1a\n", "a PNG", "d.image.load reads it" },
  { "jpeg", "\xff\xd8\xff", "a JPEG", "d.image.load reads it" },
  { "npy", "\x93NUMPY", "a NumPy file", "d.data.arrays reads it" },
  { "gif", "GIF8", "a GIF" },
  { "webp", "RIFF", "a RIFF file, as WebP pictures are" },
  { "bmp", "BM", "a BMP" },
  { "gguf", "GGUF", "a GGUF file", "d.load reads its tensors" },
  { "hdf5", "\x89HDF\r\n\x1a\n", "an HDF5 file" },
  { "gzip", "\x1f\x8b", "a gzip file" },
  { "idx", "\0\0\x08", "an IDX file", "d.data.idx reads it" },
  { "pdf", "%PDF", "a PDF" },
}

-- The same for text, by its first characters in lower case, after white space.
local texts = {
  { "html", "<!doctype html", "a page of HTML" },
  { "html", "<html", "a page of HTML" },
  { "xml", "<?xml", "XML" },
  { "json", "{", "JSON" },
  { "lfs", "version https://git-lfs" },
}

-- The name of the first entry tells PyTorch's zip files from NumPy's.
local function zip_kind(head)
  local length = #head >= 30 and ("<I2"):unpack(head, 27) or 0
  local name = head:sub(31, 30 + length)
  if name:find "%.npy$" then return "npz", "a NumPy .npz file", "d.data.npy and d.data.arrays read it" end
  if name:find "data%.pkl$" then return "pt", "a PyTorch file (.pt)", "d.load reads its tensors" end
  return "zip", "a zip file"
end

local AGAIN = "torch.save(torch.load(path), new_path) in Python writes the zip form, which d.load reads"

-- Pickles of protocol 2 to 5. PyTorch before 1.6 wrote several, the first of which is a number.
local function pickle_kind(head)
  if head:sub(1, 13) == "\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P" then
    return "old pt", "a PyTorch file of a version before 1.6", AGAIN
  end
  if head:find "^\x80[\2-\5]" then
    return "pickle", "a bare pickle",
      "torch.save(model.state_dict(), path) in Python writes the tensors in a form that d.load reads"
  end
end

-- PyTorch before 0.1.10 wrote tar files.
local function is_tar(file) return file:size() > 262 and file:text(257, 5) == "ustar" end

-- JSON's white space may come before the brace.
local function is_safetensors(head)
  return head:find("^[ \t\r\n]*{", 9) ~= nil and math.ult(("<I8"):unpack(head), 1 << 40)
end

local function is_text(head) return #head > 0 and not head:find "[%z\1-\8\14-\31\127]" and utf8.len(head) ~= nil end

local function first_line(text) return ("%q"):format(text:match "^[^\r\n]*":sub(1, 60)) end

-- The kind and name of a text, and its first words: a server's error may lie in place of the file.
local function of_text(head)
  local text = head:match "^%s*(.*)$"
  local low = legible.lower(text)
  for _, one in ipairs(texts) do
    if low:sub(1, #one[2]) == one[2] then
      local title = one[1] == "html" and text:match "<[Tt][Ii][Tt][Ll][Ee]>%s*([^<]+)"
      return one[1], one[3], title and "its title is " .. first_line(title) or nil
    end
  end
  return "text", "a text file", text ~= "" and "it begins " .. first_line(text) or nil
end

local function of(head)
  if is_safetensors(head) then return "safetensors", "a safetensors file", "d.load_model or d.load reads it" end
  for _, one in ipairs(kinds) do
    if head:sub(1, #one[2]) == one[2] then return one[1], one[3], one[4] end
  end
  if head:sub(1, 4) == "PK\3\4" then return zip_kind(head) end
  if pickle_kind(head) then return pickle_kind(head) end
  if is_text(head) then return of_text(head) end
end

-- Git LFS leaves a small text in place of each large file that it hasn't fetched.
local function pointer(head, wanted)
  local bytes, sum = head:match "\nsize (%d+)", head:match "\noid sha256:(%x+)"
  return legible.said("a pointer, not %s: Git LFS never fetched this file%s%s; `git lfs pull` fetches it", wanted,
    bytes and (" of %s bytes"):format(u64.commas(u64.read(bytes) or 0)) or "",
    sum and (" (sha256 %s...)"):format(sum:sub(1, 8)) or "")
end

--- "a PNG, not a model; d.image.load reads it", for a file of another kind than the wanted ones.
---@param file any from core.map
---@param wanted string "a model"
---@param fine table<string, boolean> the kinds that are wanted
---@return string|nil sentence nil if the file may be of a wanted kind, or its kind is unknown
function signature.mismatch(file, wanted, fine)
  local head = file:text(0, math.min(file:size(), HEAD))
  local kind, name, reader = of(head or "")
  if is_tar(file) then kind, name, reader = "tar", "a tar file, as the oldest PyTorch files are", AGAIN end
  if not kind or fine[kind] then return nil end
  if kind == "lfs" then return pointer(head, (fine.safetensors or fine.pt) and "the weights" or wanted) end
  return legible.said("%s, not %s%s", name, wanted, reader and "; " .. reader or "")
end

return signature
