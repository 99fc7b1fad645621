-- What the specs of products share: lists of numbers, their distance, bits on threads.
local core = require "diffusion.core"
local d = require "diffusion"

local products = {}

local double = os.getenv "DIFFUSION_PRECISION" == "double"
products.tiny = double and 1e-13 or 2e-6 -- relative L2, one product in this build

--- Standard normal numbers of this shape.
function products.draw(...) return d.randn(...) end

local function pour(x, out)
  if type(x) ~= "table" then out[#out + 1] = x
  else for _, value in ipairs(x) do pour(value, out) end end
  return out
end

--- The elements in order.
function products.flat(x) return pour(x:totable(), {}) end

--- |actual - expected| / |expected|; a list, and a tensor or a list.
function products.distance(expected, actual)
  actual = type(actual) == "table" and actual or products.flat(actual)
  assert(#expected == #actual, ("%d numbers, not %d"):format(#actual, #expected))
  local off, size = 0, 0
  for i, value in ipairs(expected) do
    off, size = off + (actual[i] - value) ^ 2, size + value ^ 2
  end
  return math.sqrt(off / math.max(size, 1e-300))
end

--- `make` gives tensors; they have the same bits on 1, 2 and 3 threads, and with 2 the
--- work was shared.
function products.same_on_threads(make)
  local before = d.threads()
  d.threads(1)
  local expected = make()
  for threads = 2, 3 do
    d.threads(threads)
    local split = core.pool().split
    for _ = 1, 100 do -- on a busy machine one thread may finish before another wakes
      for i, x in ipairs(make()) do assert(x:equal(expected[i]), "other bits") end
      if core.pool().split > split then break end
    end
    assert(core.pool().split > split, "nothing was shared among threads")
  end
  d.threads(before)
end

return products
