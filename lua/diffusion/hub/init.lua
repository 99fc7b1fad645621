--- d.hub: models and schedulers of other libraries.
return { scheduler = require("diffusion.hub.scheduler").scheduler }
