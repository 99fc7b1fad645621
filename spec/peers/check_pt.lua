-- Forms of PyTorch's files, written by PyTorch, against the same tensors as safetensors: to the bit.
local d = require "diffusion"
local pytorch = require "diffusion.file.pytorch"

local folder = os.tmpname()
os.remove(folder)
assert(os.execute(("%s/bin/python spec/peers/pickles.py forms %s"):format(os.getenv "PEERS", folder)))

local failed = 0

local function same(a, b)
  if a:dtype() ~= b:dtype() or table.concat(a:shape(), ",") ~= table.concat(b:shape(), ",") then return false end
  return a:numel() == 0 or a:contiguous():bytes() == b:contiguous():bytes()
end

local function compare(name, path)
  local ours, message = pytorch.load(path .. ".pt")
  local theirs = assert(d.load(path .. ".safetensors"))
  local count, wrong = 0, not ours and message
  for key, x in pairs(theirs) do
    count = count + 1
    if ours and not (ours[key] and same(ours[key], x)) then wrong = key end
  end
  for key in pairs(ours or {}) do
    if not theirs[key] then wrong = key .. ", which isn't there" end
  end
  print(("%-12s %3d tensors %s"):format(name, count, wrong and "DIFFER: " .. wrong or "agree"))
  if wrong then failed = failed + 1 end
end

local list <close> = assert(io.popen("ls " .. folder .. "/*.pt"))
for path in list:lines() do compare(path:match "([^/]*)%.pt$", (path:gsub("%.pt$", ""))) end
os.execute("rm -rf " .. folder)
os.exit(failed == 0)
