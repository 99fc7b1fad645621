--- Distances between two sets of samples; nothing is downloaded.
return {
  energy = require "diffusion.metric.energy",
  frechet = require "diffusion.metric.frechet",
  wasserstein1 = require "diffusion.metric.wasserstein1",
}
