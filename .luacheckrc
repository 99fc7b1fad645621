std = "lua54"
max_line_length = 120
ignore = { "581" }   -- not (a <= b) also holds for NaN, and is meant so
files["spec"] = { std = "+busted" }
files["*.rockspec"] = { std = "+rockspec" }
files[".luacheckrc"] = { std = "+luacheckrc" }
-- made by make doc; and scripts that define globals, as at a prompt
exclude_files = { "lua/diffusion/library", "lua/diffusion/reference.lua", "spec/fixtures" }
