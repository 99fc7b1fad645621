-- The same in double, where nothing of ours rounds.
assert(loadfile("spec/autoencoder_peer_spec.lua", "t", _ENV))()
