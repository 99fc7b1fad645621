--- The likelihood of data under a model: d.likelihood.vlb is a bound, term by term, and
--- d.likelihood.ode the density of its probability-flow ODE.
return { vlb = require "diffusion.likelihood.vlb", ode = require "diffusion.likelihood.ode" }
