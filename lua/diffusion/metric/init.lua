--- Distances between two sets of samples, and what else can be told of samples; nothing is
--- downloaded. Each is a number, and with interval = true a second result: a confidence interval,
--- which way the value is biased, and a p-value where there is a test.
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
