--- The networks of the workloads, with values under which every layer matters. It computes
-- their outputs and gradients on given inputs, to compare them with PyTorch's.
local d = require "diffusion"
local words = require "words"
local composed = require "ours.composed"
local flops = require "flops"

local network = {}

local makers = {}

local function unet_options(w)
  return {
    image = w.image, channels = math.tointeger(w.channels), mult = words.numbers(w.mult),
    blocks = math.tointeger(w.blocks), attention = words.numbers(w.attention),
    classes = math.tointeger(w.classes), dropout = tonumber(w.dropout),
  }
end

function makers.unet(w) return d.unet(unet_options(w)) end
function makers.composed(w) return composed(unet_options(w)) end

function makers.mlp(w)
  return d.mlp { dim = w.image[1], hidden = math.tointeger(w.hidden), depth = math.tointeger(w.depth) }
end

function makers.dit(w)
  local options = { image = w.image }
  for _, key in ipairs { "patch", "width", "heads", "depth", "classes" } do options[key] = math.tointeger(w[key]) end
  return d.dit(options)
end

-- Layers that begin at zero would hide all that is before them.
local function awaken(model)
  local state = {}
  for name, p in model:parameters() do
    local silent = p:abs():max():item() == 0
    state[name] = silent and d.randn(p:shape()) * 0.02 or p
  end
  model:load_state(state)
end

--- The network that a workload describes.
function network.make(w)
  local model = makers[w.net](w)
  awaken(model)
  return model
end

--- { batch, sizes of an image ... }
function network.shape(w, batch) return { batch, table.unpack(w.image) } end

--- Classes of a batch, or nil where the network knows none.
function network.classes(w, batch)
  local classes = math.tointeger(w.classes)
  return classes > 0 and d.randint(1, classes, { batch }) or nil
end

local process = {
  eps = { predict = "eps", weighting = "simple" },
  min_snr = { predict = "v", weighting = "min_snr" },
}

--- The process, and the name of the weighting, of a workload's objective.
function network.process(w)
  local o = process[w.objective]
  return d.process { schedule = d.schedule.linear { T = 1000 }, predict = o.predict, clip = 1 }, o.weighting
end

--- Parameters, and FLOPs of a forward of the batch.
function network.facts(w, model)
  return { parameters = model:count(), flops = w.batch * flops.forward(model, w) }
end

--- Weights, inputs, outputs and, if requested, the gradients of mean(out * probe), without
--- dropout. The inputs are those of the answers `given`, or new ones.
function network.answers(w, model, with_gradients, given)
  local batch = math.min(w.batch, 4)
  given = given or { xt = d.randn(network.shape(w, batch)), probe = d.randn(network.shape(w, batch)),
                     t = d.randint(1, 1000, { batch }):to "f32", class = network.classes(w, batch) }
  local out = { xt = given.xt, probe = given.probe, t = given.t, class = given.class }
  model:eval()
  local function loss()
    out.out = model(out.xt, out.t, { class = out.class })
    return (out.out * out.probe):mean()
  end
  if with_gradients then d.record(loss):backward() else loss() end
  model:train()
  out.out = out.out:detach()
  for name, p in model:parameters() do
    out["weight." .. name] = p
    if with_gradients then out["gradient." .. name] = p.grad end
  end
  return out
end

-- The largest difference relative to the largest; NaN where there is one.
local function gap(a, b) return ((a - b):abs():max() / b:abs():max()):item() end

--- Takes over the weights of such answers, and how far from theirs ours are.
---@return table {outputs, gradients}
function network.compare(w, model, theirs)
  local state, worst = {}, 0
  for name in model:parameters() do state[name] = theirs["weight." .. name] end
  model:load_state(state)
  local ours = network.answers(w, model, theirs.probe ~= nil, theirs)
  for name in model:parameters() do
    local off = gap(ours["gradient." .. name], theirs["gradient." .. name])
    if not (off <= worst) then worst = off end
  end
  return { outputs = gap(ours.out, theirs.out), gradients = worst }
end

return network
