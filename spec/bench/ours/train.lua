--- A training step: t and noise, forward, backward, clip, AdamW, average.
local d = require "diffusion"
local network = require "ours.network"

return function(w)
  local model = network.make(w)
  local process, weighting = network.process(w)
  local ema = d.ema(model, { decay = 0.9995 })
  local opt = d.adamw(model, { lr = 1e-4, clip = 1, ema = ema })
  local objective = d.objective { process = process, weighting = weighting,
                                  drop_class = w.classes == "0" and 0 or 0.1 }
  local x0, class = d.randn(network.shape(w, w.batch)), network.classes(w, w.batch)
  local task = {}

  function task.step()
    d.scope(function()
      local loss = d.record(objective, model, x0, { class = class })
      loss:backward()
      opt:step()
    end)
  end

  function task.answers() return network.answers(w, model, true) end
  function task.compare(theirs) return network.compare(w, model, theirs) end
  function task.facts() return network.facts(w, model) end
  return task
end
