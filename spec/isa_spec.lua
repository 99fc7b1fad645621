-- Tests every kernel of kernels.h through the op that calls it. Each instruction set of
-- this machine is compared with scalar, and all of them with the build in double. Lengths
-- are around those of the vectors.
local core = require "diffusion.core"
local child = dofile "spec/support/child.lua"
local values = require "spec.support.kernel_values"

local LENGTHS = { 0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 1000 }

-- relative L2; products at the default precision promise less
local TOLERANCE = 2e-6
local bound = {
  rows = 1e-5, pack_weights = 1e-5, round_bf16 = 1e-2,
  pairs = 2e-2, planes = 2e-2, turn_planes = 2e-2, pair_rows = 2e-2, pair_columns = 2e-2, pair_planes = 2e-2,
  short_inputs = 2e-2, short_weights = 2e-2, short_outputs = 2e-2,
  rows_turned = 1e-5, copy_strips = 1e-5, winograd_inputs = 1e-5, winograd_outputs = 1e-5, winograd_weights = 1e-5,
  winograd_outputs_back = 1e-5, winograd_weights_back = 1e-5, winograd_weights_row = 1e-5,
  winograd_few = 1e-5,
  to_f16 = 1e-3, to_bf16 = 1e-2, -- the build in double rounds once as well
}

-- The names of all pointers in the table of kernels.h.
local function declared()
  local text = child.read "csrc/kernels/kernels.h":gsub("/%*.-%*/", "")
  local body, names = text:match "typedef struct df_kernels (%b{})", {}
  for line in body:gmatch "df_[ub][%a_]+ (%*[^;()]*);" do -- df_unary, df_unary_back, df_binary
    for name in line:gmatch "%*([%w_]+)" do names[#names + 1] = name end
  end
  for name in body:gmatch "%(%*([%w_]+)%)" do names[#names + 1] = name end
  return names
end

-- Results of the build in double: a function of "name n" that returns a list.
local function in_double()
  local text, code = child.run("spec/support/kernel_values.lua",
    { arguments = LENGTHS, env = "DIFFUSION_PRECISION=double" })
  assert(code == 0, (text:gsub("[^%g%s]+", "")))
  local out, at = {}, 1
  while at <= #text do
    local key, count
    key, count, at = string.unpack("<s4I4", text, at)
    out[key], at = text:sub(at, at + 8 * count - 1), at + 8 * count
  end
  return function(key)
    local list, bytes = {}, out[key]
    for i = 1, #bytes // 8 do list[i] = string.unpack("<d", bytes, 8 * i - 7) end
    return list
  end
end

-- |actual - expected| / |expected|, where n noises have at least the size sqrt(n)
local function distance(name, actual, expected)
  local gap, size = 0, name == "normal" and #expected or 0
  for i, v in ipairs(expected) do gap, size = gap + (actual[i] - v) ^ 2, size + v ^ 2 end
  return math.sqrt(gap / math.max(size, 1e-30))
end

local function hold(name, n, isa, against, actual, expected)
  assert(#expected == #actual, ("%s: %d values, not %d"):format(name, #actual, #expected))
  local off = distance(name, actual, expected)
  assert(off <= (bound[name] or TOLERANCE),
    ("%s of %s, n = %d, is off %s by %.3g"):format(name, isa, n, against, off))
end

describe("the kernels", function()
  local best, all = core.isa()
  after_each(function() core.isa(best) end)

  it("are all named here", function()
    local names = declared()
    assert(#names > 70, #names .. " kernels found on the contract page")
    local known = {}
    for _, name in ipairs(names) do
      known[name] = true
      assert(values.kernels[name], "spec/support/kernel_values.lua has no op that reaches " .. name)
    end
    for name in pairs(values.kernels) do assert(known[name], name .. " is no kernel") end
  end)

  it("give in each instruction set what scalar gives, and what doubles give", function()
    local exact = in_double()
    for _, n in ipairs(LENGTHS) do
      for _, name in ipairs(values.names()) do
        core.isa "scalar"
        local plain = values.of(name, n)
        local doubles = exact(name .. " " .. n)
        hold(name, n, "scalar", "double", plain, doubles)
        for i = 2, #all do
          core.isa(all[i])
          local got = values.of(name, n)
          hold(name, n, all[i], "scalar", got, plain)
          hold(name, n, all[i], "double", got, doubles)
        end
      end
    end
  end)
end)

describe("the environment", function()
  local script
  before_each(function()
    script = os.tmpname()
    child.write(script, 'local d = require "diffusion" print(d.threads())')
  end)
  after_each(function() os.remove(script) end)

  local function said(env)
    local text, code = child.run(script, { env = env })
    return code == 0, text
  end

  it("that names what there isn't is a sentence at require", function()
    for env, sentence in pairs {
      ["DIFFUSION_PRECISION=single DIFFUSION_ISA=avx1024"] = "DIFFUSION_ISA=avx1024: this machine has scalar",
      ["DIFFUSION_PRECISION=duble"] = "DIFFUSION_PRECISION is 'duble'",
      ["DIFFUSION_THREADS=abc"] = "DIFFUSION_THREADS=abc: expected an integer from 1 to 256",
      ["DIFFUSION_THREADS=0"] = "DIFFUSION_THREADS=0: expected an integer from 1 to 256",
      ["DIFFUSION_THREADS=257"] = "DIFFUSION_THREADS=257: expected an integer from 1 to 256",
      ["DIFFUSION_THREADS=99999999999"] = "DIFFUSION_THREADS=99999999999: expected an integer from 1 to 256",
      ["DIFFUSION_THREADS=99999999999999999999999"] = ": expected an integer from 1 to 256",
      ["DIFFUSION_THREADS=2x"] = "DIFFUSION_THREADS=2x: expected an integer from 1 to 256",
    } do
      local fine, text = said(env)
      assert.is_false(fine)
      assert.is_truthy(text:find(sentence, 1, true), text)
    end
  end)

  it("is followed where it is right", function()
    local fine, text = said "DIFFUSION_ISA=scalar DIFFUSION_THREADS=3"
    assert.is_true(fine, text)
    assert.equal("3\n", text)
    assert.is_true(said "DIFFUSION_ISA= DIFFUSION_THREADS=")
  end)
end)
