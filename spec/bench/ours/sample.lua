--- A step of DDIM: the network once, and the sampler's arithmetic.
local d = require "diffusion"
local network = require "ours.network"

return function(w)
  local model, process = network.make(w), network.process(w)
  local class = network.classes(w, w.batch)
  local task, run = {}, nil

  local function begin()
    return d.sampler.steps { model = model, process = process, shape = network.shape(w, w.batch),
                             sampler = "ddim", class = class, seed = 1 }
  end

  function task.step()
    run = run or begin()
    if not run() then
      run = begin()
      run()
    end
  end

  function task.answers() return network.answers(w, model, false) end
  function task.facts() return network.facts(w, model) end
  return task
end
