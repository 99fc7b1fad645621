-- The same in double.
assert(loadfile("spec/corner_spec.lua", "t", _ENV))()
