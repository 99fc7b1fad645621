--- The seed of what measures. It is fixed, so that two measurements of the same samples agree;
--- draws (samples, first values, data) follow d.manual_seed.
return {
  --- The rule of an option `seed`.
  seed = { "integer", default = 1 },

  --- A seed for a measure's own numbers, which samples drawn from the user's seed don't share.
  ---@param seed integer
  ---@return integer
  own = function(seed) return seed + 0x6d657472 end,
}
