-- Pipes: the images that diffusers draws from the same generator, with options of calls.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local fails = require "spec.support.fails"
local hub = require "spec.support.hub_folder"
local json = require "diffusion.file.json"
local peer = require "spec.support.peer_folder"

local cases = assert(json.decode(assert(child.read "spec/fixtures/peers/pipelines.json")))
local images = assert(d.load "spec/fixtures/peers/pipelines.safetensors")

local root
before_each(function() root = child.folder() end)
after_each(function() child.remove(root) end)

local function pipe_of(name)
  peer.pipeline(root, cases[name])
  return assert(d.hub.load(root))
end

-- The options of a call there as ours.
local function options_of(case)
  local a, class = case.args, nil
  for i, label in ipairs(a.class_labels or {}) do
    class = class or {}
    class[i] = label + 1
  end
  return { n = a.batch_size or class and #class, steps = a.num_inference_steps, eta = a.eta, class = class,
    guidance = a.guidance_scale, generator = peer.generators(case.seeds) }
end

local function known(case)
  for _, config in pairs(case.parts) do
    if not peer.family(config._class_name) then return false end
  end
  return (d.hub.scheduler(case.scheduler)) ~= nil
end

local names = {}
for name in pairs(cases) do names[#names + 1] = name end
table.sort(names)

describe("a pipe draws the images of diffusers from torch's generator:", function()
  for _, name in ipairs(names) do
    if known(cases[name]) then
      it(name, function()
        local x = pipe_of(name)(options_of(cases[name]))
        local gap = peer.gap(x, images[name]:to(core.real))
        assert(gap < 1e-4, ("%s: %g"):format(name, gap))
      end)
    end
  end
end)
