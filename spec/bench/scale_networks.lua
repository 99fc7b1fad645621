-- The networks of scale.lua: those of `make bench` of the same names.
local networks = {}
package.path = "spec/bench/?.lua;" .. package.path
for _, w in ipairs(dofile "spec/bench/workloads.lua") do
  local name = w.name:match "^(%w+)%.train%.high$"
  if name and w.net == "unet" then networks[name] = w end
end
return networks
