-- Helpers for specs of products: lists of numbers, their distance, and bits with threads.
local d = require "diffusion"
local shared = require "spec.support.shared"

local products = {}

local double = os.getenv "DIFFUSION_PRECISION" == "double"
products.tiny = double and 1e-13 or 2e-6 -- relative L2 error of one product in this build

products.near = double and 1e-13 or 1e-5 -- at the default precision, which may use bf16

--- Standard normal numbers of this shape.
function products.draw(...) return d.randn(...) end

local function pour(x, out)
  if type(x) ~= "table" then out[#out + 1] = x
  else for _, value in ipairs(x) do pour(value, out) end end
  return out
end

--- The elements in order.
function products.flat(x) return pour(x:totable(), {}) end

--- actual - expected| / |expected|, for a list, and a tensor or a list.
function products.distance(expected, actual)
  actual = type(actual) == "table" and actual or products.flat(actual)
  assert(#expected == #actual, ("%d numbers, not %d"):format(#actual, #expected))
  local off, size = 0, 0
  for i, value in ipairs(expected) do
    off, size = off + (actual[i] - value) ^ 2, size + value ^ 2
  end
  return math.sqrt(off / math.max(size, 1e-300))
end

--- Checks that the tensors of `make` have the same bits on 1, 2 and 3 threads, and that
--- two threads shared the work.
function products.same_on_threads(make)
  local before = d.threads()
  d.threads(1)
  local expected = make()
  for threads = 2, 3 do
    d.threads(threads)
    shared.surely(function()
      for i, x in ipairs(make()) do assert(x:equal(expected[i]), "other bits") end
    end)
  end
  d.threads(before)
end

--- Bounds of the relative L2 error of a product at each precision. The lower bound shows
--- that medium rounds.
products.promised = {
  { name = "highest", most = products.tiny, least = 0 },
  { name = "high", most = double and 1e-13 or 1e-5, least = 0 },
  { name = "medium", most = 1e-2, least = 1e-4 },
}

--- Runs f(row) at each precision.
function products.at_each_precision(f)
  local before = d.precision()
  for _, row in ipairs(products.promised) do
    d.precision(row.name)
    local ok, text = pcall(f, row)
    d.precision(before)
    if not ok then error(text, 0) end
  end
end

--- Calls f(precision, threads) at each precision with each of these numbers of threads.
function products.at_each_setting(counts, f)
  local before = d.threads()
  products.at_each_precision(function(row)
    for _, n in ipairs(counts) do
      d.threads(n)
      local ok, text = pcall(f, row.name, n)
      d.threads(before)
      if not ok then error(text, 0) end
    end
  end)
end

--- Raises unless the error of `actual` is within the bounds.
function products.check(row, expected, actual)
  local off = products.distance(expected, actual)
  if not (off < row.most and off >= row.least) then
    error(("%s: off by %g, promised %g to %g"):format(row.name, off, row.least, row.most), 2)
  end
end

return products
