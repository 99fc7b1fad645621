-- Scheduler classes of diffusers that are not followed, and why.
local discrete = "it works on discrete tokens, and the processes here are Gaussian"
local policy = "its network returns a policy, not one prediction"
local stages = "its steps change the size of the picture between stages"
local tree = "its noise is torchsde's Brownian tree, which is not drawn here"

return {
  VQDiffusionScheduler = discrete, AmusedScheduler = discrete, DiscreteDDIMScheduler = discrete,
  BlockRefinementScheduler = discrete, EntropyBoundScheduler = discrete,
  DPMSolverSDEScheduler = tree, CosineDPMSolverMultistepScheduler = tree,
  PiflowScheduler = policy, RFD4ProteinaScheduler = "it works on frames of proteins",
  HeliosScheduler = stages, HeliosDMDScheduler = stages,
}
