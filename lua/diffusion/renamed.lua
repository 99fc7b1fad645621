-- Old names of options and of their values. A call with an old name is an error that names the
-- new one.
return {
  --- By function: old name -> new name.
  options = {
    adamw = { tiny = "epsilon" },
    dropout = { drop = "dropout" },
    group_norm = { tiny = "epsilon", eps = "epsilon" },
    layer_norm = { tiny = "epsilon", eps = "epsilon" },
    norm_conv = { tiny = "epsilon", eps = "epsilon", drop = "dropout" },
    res_block = { tiny = "epsilon", eps = "epsilon", drop = "dropout" },
  },

  --- By function and option: old value -> new value.
  values = {
    objective = { decoder = { discretized = "erf" } },
  },
}
