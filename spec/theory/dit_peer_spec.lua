-- The same in double, where nothing of ours rounds.
assert(loadfile("spec/dit_peer_spec.lua", "t", _ENV))()
