-- Old names of options and values, and other libraries' names for them. A call with one of them
-- is an error that says our name.

-- diffusers' names of options of a pipeline's call.
local pipeline = {
  num_inference_steps = "steps", guidance_scale = "guidance", guidance_rescale = "rescale",
  negative_prompt = "negative", prompt_2 = "prompt2", negative_prompt_2 = "negative2",
  num_images_per_prompt = "n", batch_size = "n", latents = "init_latents", image = "x0", mask_image = "keep",
  mask = "keep", class_labels = "class", init_image = "x0", prompt_embeds = "prompt",
  negative_prompt_embeds = "negative", original_size = "sizes", target_size = "sizes",
  crops_coords_top_left = "sizes", negative_original_size = "sizes", negative_target_size = "sizes",
  negative_crops_coords_top_left = "sizes", aesthetic_score = "sizes", negative_aesthetic_score = "sizes",
  callback_on_step_end = "on_step", callback = "on_step", cfg_scale = "guidance", generators = "generator",
  timesteps = "grid", sigmas = "grid",
}

return {
  --- By function: old name -> new name.
  options = {
    adamw = { tiny = "epsilon" },
    dropout = { drop = "dropout" },
    group_norm = { tiny = "epsilon", eps = "epsilon" },
    layer_norm = { tiny = "epsilon", eps = "epsilon" },
    norm_conv = { tiny = "epsilon", eps = "epsilon", drop = "dropout" },
    res_block = { tiny = "epsilon", eps = "epsilon", drop = "dropout" },
    pipe = pipeline, ["pipe:steps"] = pipeline, ["pipe:text2image"] = pipeline, ["pipe:image2image"] = pipeline,
    ["pipe:inpaint"] = pipeline, ["pipe:encode_prompt"] = pipeline,
  },

  --- Options of the functions that draw samples: another library's name -> ours.
  sampling = {
    num_inference_steps = "steps", num_steps = "steps", sample_steps = "steps", n_steps = "steps",
    timesteps = "grid", sigmas = "grid", scheduler = "sampler", method = "sampler",
    guidance_scale = "guidance", cfg_scale = "guidance", cfg = "guidance", cond_scale = "guidance",
    class_labels = "class", labels = "class", classes = "class", y = "class",
    latents = "init", x_T = "init", noise_seed = "seed", generator = "noise", callback = "on_step",
  },

  --- Schedules: diffusers' name -> ours.
  schedules = { squaredcos_cap_v2 = "cosine", squaredcos = "cosine" },

  --- By function and option: old value -> new value.
  values = {
    objective = { decoder = { discretized = "erf" } },
    process = { predict = { epsilon = "eps", noise = "eps", sample = "x0", v_prediction = "v", velocity = "flow" } },
  },
}
