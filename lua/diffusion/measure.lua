--- The seed of metrics, likelihoods and other measures. It is fixed, so two measurements of the
--- same samples agree. Draws (samples, first values, data) follow d.manual_seed instead.
return {
  --- The rule of an option `seed`.
  seed = { "integer", default = 1, text = "seed of the measure's random numbers; fixed, whatever d.manual_seed says" },

  --- A seed for a measure's own random numbers. Samples drawn with the user's seed don't share them.
  ---@param seed integer
  ---@return integer
  own = function(seed) return seed + 0x6d657472 end,
}
