-- Rules of options that several functions share; see opts.check and opts.declare.
return {
  seed = { "integer", default_text = "follows d.manual_seed", text = "seed of the random numbers" },
  generator = { "generator", text = "source of the random numbers, in place of a seed" },
  process = { "process", required = true, text = "the process: schedule, prediction target, variance and clip" },
  --- The rule of an option that deals something out.
  over = function(what)
    return { "mpi", as = "diffusion.mpi", text = ("deals %s out over the ranks of diffusion.mpi"):format(what) }
  end,
  copy = { "boolean", default = false, text = "reads into memory instead of mapping the file" },
  model = { "any", required = true, what = "a denoiser (xt, t, {class=})", as = "diffusion.model|function",
    text = "the denoiser: a network, an average, or a function (xt, t, {class=})" },
}
