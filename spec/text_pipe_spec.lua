-- Text-to-image pipes: the images of diffusers from torch's generators, and what their calls take and refuse.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local text_folder = require "spec.support.text_folder"

local all = assert(json.decode(assert(child.read "spec/fixtures/peers/text_pipelines.json")))
local images = assert(d.load "spec/fixtures/peers/text_pipelines.safetensors")

local root
setup(function() root = child.folder() end)
teardown(function() child.remove(root) end)

local opened = {}

-- The pipe of a case. Cases of the same networks share a folder.
local function pipe_of(case)
  local key = json.encode { case.pipeline, case.parts.unet, case.pad, case.parts.text_encoder_2 or false,
    case.requires_aesthetics_score or false }
  if not opened[key] then
    local n = 0
    for _ in pairs(opened) do n = n + 1 end
    local folder = root .. "/" .. n
    text_folder.write(folder, case, all)
    opened[key] = assert(d.hub.load(folder))
  end
  opened[key].scheduler = case.scheduler
  return opened[key]
end

local names = {}
for name in pairs(all.cases) do names[#names + 1] = name end
table.sort(names)

-- Every so many numbers of images, in the fixture's order.
local function sampled(x)
  x = x:flatten()
  local out = {}
  for i = 1, x:numel(), all.every do out[#out + 1] = x[i] end
  return d.tensor(out)
end

describe("a pipe draws the images of diffusers from torch's generator:", function()
  for _, name in ipairs(names) do
    it(name, exactly(function()
      local case = all.cases[name]
      local o, method = text_folder.call(case)
      local pipe = pipe_of(case)
      local x = pipe[method](pipe, o)
      assert.same(case.shape, x:shape())
      local gap = (sampled(x) - images[name]:to(core.real)):abs():max():item()
      assert(gap < 1e-4, ("%s: %g"):format(name, gap))
    end))
  end
end)
