std = "lua54"
max_line_length = 120
ignore = { "581" }   -- not (a <= b) also holds for NaN, and is meant so
files["spec"] = { std = "+busted" }
files["*.rockspec"] = { std = "+rockspec" }
files[".luacheckrc"] = { std = "+luacheckrc" }
exclude_files = { "lua/diffusion/library", "lua/diffusion/reference.lua" }  -- made by make doc
