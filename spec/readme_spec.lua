-- Every block of Lua in the README runs, with fewer steps of training, in its own folder.
-- The files and names that it mentions exist.
local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

local readme = read "README.md"

local function output_of(command)
  local pipe <close> = io.popen(command)
  return pipe:read "a"
end

describe("the README", function()
  local here = output_of "pwd":match "[^\n]*"
  local dir = os.tmpname()
  os.remove(dir)
  os.execute("mkdir -p " .. dir)
  teardown(function() os.execute("rm -r " .. dir) end)

  local environment = ("cd %s && LUA_PATH_5_4='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH_5_4='%s/%s/?.so;;' ")
    :format(dir, here, here, here, os.getenv "DIFFUSION_BUILD" or "build")

  local number = 0
  for block in readme:gmatch "```lua\n(.-)```" do
    number = number + 1
    it("has a block " .. number .. " that runs", function()
      local name = ("%s/block%d.lua"):format(dir, number)
      local f <close> = assert(io.open(name, "w"))
      f:write((block:gsub("steps = 4000", "steps = 40")))
      f:close()
      local out = output_of(("%s '%s' %s 2>&1; echo exit $?"):format(environment, arg[-1], name))
      assert.match("exit 0\n$", out)
    end)
  end

  it("has at least three of them", function() assert(number >= 3) end)

  it("names files that are there", function()
    local missing = {}
    for path in readme:gmatch "`([%w_]+/[%w_/.]+)`" do
      if not path:find "^demo" and not path:find "^build" and not path:find "NAME" then
        for _, place in ipairs { path, "lua/diffusion/" .. path, "csrc/" .. path, "" } do
          if place == "" then missing[#missing + 1] = path
          elseif os.rename(place, place) then break end
        end
      end
    end
    assert.equal("", table.concat(missing, ", "))
  end)

  it("names every sampler, and how many there are", function()
    local names, lacking = require "diffusion".sampler.names(), {}
    for _, name in ipairs(names) do
      if not readme:find("\n| [^\n]*`" .. name .. "`") then lacking[#lacking + 1] = name end
    end
    assert.equal("", table.concat(lacking, ", "))
    assert.truthy(readme:find(#names .. " samplers", 1, true), #names .. " samplers")
  end)

  it("lists every paper that the code cites", function()
    local lacking, seen = {}, {}
    for path in io.popen("find csrc lua -name '*.[ch]' -o -name '*.lua'"):lines() do
      local text = read(path):gsub("\n[-%s*]*", " ")
      for name, year in text:gmatch "(%u[%a-]+ et al%. )(%d%d%d%d)" do
        if not seen[name .. year] and not readme:find("- " .. name .. year, 1, true) then
          lacking[#lacking + 1] = name .. year
        end
        seen[name .. year] = true
      end
    end
    assert.equal("", table.concat(lacking, ", "))
  end)
end)
