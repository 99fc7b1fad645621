--- d.hub: models and schedulers of other libraries.
return {
  save = require("diffusion.hub.save").save,
  scheduler = require("diffusion.hub.scheduler").scheduler,
}
