-- The same in double, where nothing of ours rounds.
assert(loadfile("spec/hub_scheduler_spec.lua", "t", _ENV))()
