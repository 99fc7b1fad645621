-- Opens a large file of weights: its time, and the memory that the process holds before and
-- after. By hand:
--   lua5.4 spec/bench/open.lua                     makes a sparse file of 3 GB and opens it
--   lua5.4 spec/bench/open.lua model.safetensors   opens a file or an index of shards
local d = require "diffusion"
local core = require "diffusion.core"
local header = require "diffusion.file.safetensors_header"

-- Bytes of this process in memory: all, and those of files alone.
local function resident()
  local all, files
  for line in io.lines "/proc/self/status" do
    all = all or line:match "^VmRSS:%s*(%d+)"
    files = files or line:match "^RssFile:%s*(%d+)"
  end
  return all * 1024, files * 1024
end

-- A sparse file with the tensors of a large UNet, 686 of them.
local function make(path)
  local list, bytes = {}, 0
  for i = 1, 686 do
    local shape = i % 2 == 0 and { 1280 } or { 1280, 1958 }
    list[i] = { name = ("down_blocks.%d.attentions.1.transformer_blocks.0.attn%d.to_out.0.weight"):format(i % 4, i),
      dtype = i % 100 == 0 and "I32" or "F32", shape = shape }
    bytes = bytes + 4 * shape[1] * (shape[2] or 1)
  end
  local head = header.write(list, { format = "pt" })
  local f <close> = assert(io.open(path, "wb"))
  assert(f:write(head))
  assert(f:seek("set", #head + bytes - 1))
  assert(f:write "\0")
  return path
end

local function report(what, began, before)
  local now, files = resident()
  print(("%-34s %8.2f ms   %8.2f MiB more, %8.2f MiB of files"):format(what, (core.clock() - began) * 1e3,
    (now - before) / 2 ^ 20, files / 2 ^ 20))
end

local path = arg[1] or make(os.tmpname())
local size = assert(io.open(path)):seek "end"
print(("%s: %.2f GB"):format(path, size / 1e9))
collectgarbage()
local before, began = resident(), core.clock()
local tensors = assert(d.load(path))
report("opened", began, before)

local names = {}
for name in pairs(require "diffusion.file.arrays".shapes(tensors)) do names[#names + 1] = name end
table.sort(names)
began, before = core.clock(), resident()
local sum = tensors[names[1]]:sum():item()
report(("one tensor of %d read"):format(#names), began, before)
began, before = core.clock(), resident()
for _, name in ipairs(names) do sum = sum + tensors[name]:numel() end
report("all windows taken, none read", began, before)
print(("sum %g"):format(sum))
if not arg[1] then os.remove(path) end
