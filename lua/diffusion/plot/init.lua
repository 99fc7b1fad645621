--- Plots by gnuplot, an optional program that is looked for at run time. A plot is a PNG or SVG file, a
--- window if there is a display, or text in the terminal.
local lines = require "diffusion.plot.lines"

return {
  points = require "diffusion.plot.points",
  lines = lines.lines,
  schedules = lines.schedules,
  order = require "diffusion.plot.order",
  trajectories = require "diffusion.plot.trajectories",
}
