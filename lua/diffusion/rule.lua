-- Rules of options that several functions share; see opts.check and opts.declare.
return {
  seed = { "integer", default_text = "follows d.manual_seed", text = "seed of the random numbers" },
  fixed_seed = { "integer", default = 1,
    text = "seed of the measure's own random numbers, whatever d.manual_seed says" },
  generator = { "generator", text = "source of the random numbers, in place of a seed" },
  process = { "process", required = true, text = "the process: schedule, prediction target, variance and clip" },
  model = { "any", required = true, what = "a denoiser (xt, t, {class=})", as = "diffusion.model|function",
    text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
}
