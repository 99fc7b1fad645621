-- Reductions of shapes with few or no elements, compared with NumPy's values.
local d = require "diffusion"
local fails = require "spec.support.fails"
local flat = require "spec.support.flat"

local rows = dofile "spec/fixtures/reductions.lua"

local function made(shape)
  local n = 1
  for _, size in ipairs(shape) do n = n * size end
  local values = {}
  for i = 1, n do values[i] = (i - 1) % 4 - 1.5 end
  return d.tensor(values):view(shape)
end

local function call(name, x, dim, keep)
  if name == "var0" or name == "std0" then return x[name:sub(1, 3)](x, dim, keep, 0) end
  if name == "quantile" then return x:quantile(0.5, dim, keep) end
  if name == "topk" then return (x:topk(math.min(1, x:size(dim)), dim)) end
  if keep == nil then return (x[name](x, dim)) end
  return (x[name](x, dim, keep))
end

local function equal(want, got) return want ~= want and got ~= got or want == got or math.abs(want - got) < 2e-6 end

local function check(name, shape, dim, keep, want_shape, want)
  local x = made(shape)
  local where = ("%s of [%s] along %s, keep %s"):format(name, table.concat(shape, ","),
    type(dim) == "table" and table.concat(dim, ",") or tostring(dim), tostring(keep))
  if not want_shape then return fails("elements", call, name, x, dim, keep) end
  local y = call(name, x, dim, keep)
  if type(y) == "boolean" then return assert.equal(want[1] == 1, y, where) end
  assert.same(want_shape, y:shape(), where)
  for i, v in ipairs(flat(y)) do
    assert(equal(want[i], v), ("%s: element %d is %g, not %g"):format(where, i, v, want[i]))
  end
end

describe("a reduction", function()
  local names, known = {}, {}
  for _, row in ipairs(rows) do
    if not known[row[1]] then names[#names + 1] = row[1] end
    known[row[1]] = true
  end

  for _, name in ipairs(names) do
    it(name .. " gives what NumPy gives", function()
      for _, row in ipairs(rows) do if row[1] == name then check(table.unpack(row, 1, 6)) end end
    end)
  end

  it("is named by what it refuses", function()
    for _, name in ipairs { "max", "min", "argmax", "argmin", "quantile" } do
      fails(name .. ":", call, name, d.zeros(2, 0), 2, false)
    end
  end)

  it("of one number has no variance to tell", function()
    for _, f in ipairs { "var", "std" } do
      assert.equal(0, d.tensor { 3 }[f](d.tensor { 3 }, 1, false, 0):item())
      fails("correction", d.tensor { 3 }[f], d.tensor { 3 }, 1, false, -1)
      for _, correction in ipairs { 1, 2, 1 << 32 } do
        local y = d.tensor { 3 }[f](d.tensor { 3 }, 1, false, correction):item()
        assert(y ~= y)
      end
    end
  end)
end)
