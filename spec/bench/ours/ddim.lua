--- A whole run of DDIM in w.steps steps.
local d = require "diffusion"
local network = require "ours.network"

return function(w)
  local model, process = network.make(w), network.process(w)
  local class = network.classes(w, w.batch)
  local task = {}

  function task.step()
    d.sample { model = model, process = process, shape = network.shape(w, w.batch), sampler = "ddim",
               steps = math.tointeger(w.steps), class = class, seed = 1 }
  end

  function task.answers() return network.answers(w, model, false) end
  function task.facts() return network.facts(w, model) end
  return task
end
