-- Who draws from the seed of a run or of a likelihood: start, step, likelihood.
return require("diffusion.core").streams
