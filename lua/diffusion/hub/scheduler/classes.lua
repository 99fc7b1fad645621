-- The scheduler classes of diffusers by name. A class is a table:
--   keys   rules of its constructor's options, for config.lua
--   call   the options of d.hub.scheduler that only some classes take, as a set; "ends" for a list that has
--          the level of the end too
--   plan   function(c, o) of the checked config and options; it returns
--            schedule, predict, clip, variance, sigma_data   fields of the process
--            sampler    as d.sample takes it
--            upward     true if the sampler goes from data to noise, and asked_ahead if its network gets the timestep
--                       to which a step goes
--            times(N)   the levels of N steps, the latest first, and the level at which they end
--            shown(t)   the timestep that the network gets at level t; t - 1 if absent
--            input(t), shift, skip(t), out(t)   scales of wrap.lua
--            starts     true if times begin at o.first already
--            start(t)   factor of the noise from which diffusers starts, at the first level; 1 if absent
--            unit       "sigma" if diffusers' samples are x/a
local classes = {}

for _, family in ipairs {
  require "diffusion.hub.scheduler.ancestral",
  require "diffusion.hub.scheduler.implicit",
  require "diffusion.hub.scheduler.pndm",
  require("diffusion.hub.scheduler.dpm").classes,
  require "diffusion.hub.scheduler.unipc",
  require "diffusion.hub.scheduler.lcm",
  require "diffusion.hub.scheduler.sigma",
  require("diffusion.hub.scheduler.edm").classes,
  require "diffusion.hub.scheduler.flow",
  require "diffusion.hub.scheduler.score",
  require "diffusion.hub.scheduler.video",
  require "diffusion.hub.scheduler.distilled",
  (require "diffusion.hub.scheduler.painted"), -- not the second result of require
} do
  for name, class in pairs(family) do classes[name] = class end
end

return classes
