-- The same in double, where nothing of ours rounds.
assert(loadfile("spec/compat_spec.lua", "t", _ENV))()
