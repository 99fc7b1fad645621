-- Memory that runs out at some of the requests of a step, a sampler, a loader and a
-- checkpoint; `make check-alloc` tries all requests, and more.
local child = require "spec.support.child"

local host = (os.getenv "DIFFUSION_BUILD" or "build") .. "/alloc_host"

-- A sanitizer's own leak check can't see through the host's malloc.
local function swept(...)
  local words = {}
  for i, word in ipairs { host, "spec/support/alloc_check.lua", ... } do words[i] = child.quote(word) end
  local pipe = assert(io.popen("ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0 "
    .. "DIFFUSION_THREADS=1 LUA_PATH_5_4=" .. child.quote("./?.lua;" .. package.path) .. " LUA_CPATH_5_4="
    .. child.quote(package.cpath) .. " " .. table.concat(words, " ") .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close()
end

describe("memory that runs out", function()
  local function holds(...)
    if not child.read(host) then return pending "no liblua to link a host with" end
    local text, fine = swept(...)
    local tries = tonumber(text:match "(%d+) tries, 0 faults")
    assert.is_true(fine and tries and tries >= 30, text)
  end

  it("in a training step is an error, and the next step is right", function()
    holds("10", "train mlp", "train dit, recomputing", "train modules", "micro-batches", "d.grad through guests")
  end)

  it("while sampling is an error, and the next run draws the same", function()
    holds("8", "sample by dpmpp_sde", "sample by an average", "make composed")
  end)

  it("in a loader is an error, not a damaged file", function()
    holds("13", "read npz", "read idx.gz", "read safetensors")
  end)

  it("with a checkpoint leaves the file and the run as they were", function()
    holds("13", "read a checkpoint", "write a checkpoint", "write a run")
  end)

  it("while a picture is written is no fault of the picture's", function()
    holds("13", "write a picture", "write moving pictures")
  end)
end)
