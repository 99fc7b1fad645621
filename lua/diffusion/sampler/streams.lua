-- The random streams of a run's or a likelihood's seed: start, step, likelihood.
return require("diffusion.core").streams
