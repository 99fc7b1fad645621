-- Scheduler classes of diffusers that are not followed, and why.
local discrete = "it works on discrete tokens, and the processes here are Gaussian"
local tree = "its noise is torchsde's Brownian tree, which is not drawn here"

return {
  VQDiffusionScheduler = discrete, AmusedScheduler = discrete, DiscreteDDIMScheduler = discrete,
  BlockRefinementScheduler = discrete, EntropyBoundScheduler = discrete,
  DPMSolverSDEScheduler = tree,
}
