-- A process that forks while another Lua state's thread works: the child has none of that
-- thread's locks, and computes on.
local d = require "diffusion"

local build = os.getenv "DIFFUSION_BUILD" or "build"

local function forker()
  local make = "env -u MAKEFLAGS -u LD_PRELOAD make -s BUILD=%s %s/forker.so >/dev/null"
  assert(os.execute(make:format(build, build)), "make forker.so")
  return require "forker"
end

local head = ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
  .. 'local d = require "diffusion"\n'

-- The loop of the other state, and the number of forks.
local loops = {
  ["takes and gives blocks"] = { "local x = d.ones(3) for _ = 1, 100 do local y = x + 1 end", 40 },
  ["has the pool"] = { "local x = d.ones(70000) for _ = 1, 3 do x:exp() end", 10 },
}

local function work()
  local m = d.eye(20)
  assert(m:matmul(m):sum():item() == 20)
  assert(d.linalg.solve(d.eye(3), d.ones(3)):sum():item() == 3)
  assert(d.ones(40000):exp():size(1) == 40000)
end

describe("a fork", function()
  for name, loop in pairs(loops) do
    it("while another thread " .. name .. " leaves no lock to the child", function()
      local ended = forker()(head .. "while not stop() do " .. loop[1] .. " end", loop[2], 20, work)
      assert.equal(loop[2], ended)
    end)
  end
end)
