-- The same in double, where reals round from 2^53 on.
assert(loadfile("spec/whole_spec.lua", "t", _ENV))()
