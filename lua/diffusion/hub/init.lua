--- d.hub: models and schedulers of other libraries.
return {
  load = require("diffusion.hub.load").load,
  save = require("diffusion.hub.save").save,
  scheduler = require("diffusion.hub.scheduler").scheduler,
}
