--- Plots by gnuplot, an optional program found at run time: a PNG or SVG file, a window
--- where there is a display, or its text terminal.
local lines = require "diffusion.plot.lines"

return {
  points = require "diffusion.plot.points",
  lines = lines.lines,
  schedules = lines.schedules,
  order = require "diffusion.plot.order",
  trajectories = require "diffusion.plot.trajectories",
}
