-- core.so against core64.so on the same inputs: every op's value and gradients.
local core = require "diffusion.core"
local values = require "spec.support.op_values"

local TOLERANCE = 2e-6
-- products at the default precision are held to 1e-5
local product = { conv2d = 1e-5, linear = 1e-5, matmul = 1e-5, attention = 1e-5 }

local function in_double()
  local command = "DIFFUSION_PRECISION=double LUA_PATH_5_4='%s' LUA_CPATH_5_4='%s' '%s' "
    .. "spec/support/op_values.lua"
  command = command:format("./?.lua;" .. package.path, package.cpath, arg[-1])
  local pipe, out = assert(io.popen(command)), {}
  for line in pipe:lines() do
    local key, text = line:match "^(%S+)\t(.*)$"
    local list = {}
    for word in text:gmatch "%S+" do list[#list + 1] = tonumber(word) end
    out[key] = list
  end
  assert(pipe:close(), "the run in double failed")
  return out
end

-- |a - b| / |b|, both as vectors
local function distance(a, b)
  local gap, size = 0, 0
  for i = 1, #b do gap, size = gap + (a[i] - b[i]) ^ 2, size + b[i] ^ 2 end
  return math.sqrt(gap / math.max(size, 1e-30))
end

describe("core.so", function()
  local chosen, all = core.isa()
  local want
  setup(function() want = in_double() end)
  teardown(function() core.isa(chosen) end)

  for _, isa in ipairs(all) do
    it("agrees with core64.so on every example of every op, by " .. isa, function()
      core.isa(isa)
      local count = 0
      values.each(function(key, got, text)
        local list = assert(want[key], key .. " is missing in core64.so")
        assert.equal(#list, #got)
        local gap = distance(got, list)
        local bound = product[key:match "^[^.]+"] or TOLERANCE
        assert(gap <= bound, ("%s of %s: relative distance %.3g"):format(key, text, gap))
        count = count + 1
      end)
      assert(count > 100)
    end)
  end
end)
