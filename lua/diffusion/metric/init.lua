--- Distances between two sets of samples, and other measures of samples. Nothing is downloaded. Each
--- returns a number. With interval = true it also returns a confidence interval, the direction of the
--- value's bias, and a p-value if there is a test.
local fashion = require "diffusion.metric.fashion"

return {
  energy = require "diffusion.metric.energy",
  fashion_accuracy = fashion.fashion_accuracy,
  fashion_features = fashion.fashion_features,
  fashion_frechet = fashion.fashion_frechet,
  fashion_network = require("diffusion.metric.fashion_network").new,
  frechet = require "diffusion.metric.frechet",
  kid = require "diffusion.metric.kid",
  memorisation = require "diffusion.metric.memorisation",
  mmd = require "diffusion.metric.mmd",
  mode_coverage = require "diffusion.metric.mode_coverage",
  precision_recall = require "diffusion.metric.precision_recall",
  sliced_wasserstein = require "diffusion.metric.sliced_wasserstein",
  two_sample = require "diffusion.metric.two_sample",
  wasserstein1 = require "diffusion.metric.wasserstein1",
}
