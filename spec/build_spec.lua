-- Built and installed files. Each module exports one name and needs no Lua library of its
-- own. An installed copy works from any folder.
local build = os.getenv "DIFFUSION_BUILD" or "build"

local function output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close() == true
end

describe("the build", function()
  for _, name in ipairs{ "core", "core64", "mpi" } do
    local built = io.open(("%s/diffusion/%s.so"):format(build, name))
    local test = built and it or pending -- mpi.so is built where MPI is found
    if built then built:close() end
    test("exports one name from " .. name, function()
      local text = output(("nm -D --defined-only %s/diffusion/%s.so"):format(build, name))
      local names = {}
      for symbol in text:gmatch " [TDBRVW] (%a[%w_]*)" do names[#names + 1] = symbol end
      assert.equal("luaopen_diffusion_" .. name, table.concat(names, " "))
    end)
  end

  it("links no second Lua", function()
    local text = output(("ldd %s/diffusion/core.so"):format(build))
    assert.truthy(text:find "libc%.so")
    assert.falsy(text:find "liblua")
  end)

  local both = select(2, output "pkg-config --exists ompi mpich") and it or pending
  both("links the MPI that is named, also after another one", function()
    local place = os.tmpname()
    os.remove(place)
    local module = place .. "/diffusion/mpi.so"
    for _, one in ipairs { { "ompi", "libmpi%.so" }, { "mpich", "libmpich%.so" } } do
      output(("env -u MAKEFLAGS -u LD_PRELOAD make -s BUILD=%s MPI=%s %s"):format(place, one[1], module))
      assert.match(one[2], (output("ldd " .. module)))
    end
    output("rm -r " .. place)
  end)

  it("installs what runs elsewhere", function()
    local place = os.tmpname()
    os.remove(place)
    local words = " -s install-module install-command BUILD=" .. build
    assert.is_true(select(2, output("env -u MAKEFLAGS -u LD_PRELOAD make" .. words .. " PREFIX=" .. place)))
    local elsewhere = "cd / && env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 "
    local text = output(elsewhere .. place .. "/bin/diffusion --version")
    local f <close> = assert(io.open(place .. "/help.lua", "w"))
    f:write 'require "diffusion".help "samplers"'
    f:close()
    local help = output(elsewhere .. place .. "/bin/diffusion " .. place .. "/help.lua")
    output("rm -r " .. place)
    assert.equal(require "diffusion"._VERSION .. "\n", text)
    assert.match("^Samplers\n=", help)
  end)
end)
