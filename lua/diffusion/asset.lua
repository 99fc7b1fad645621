-- The data that comes with the library: digits, small trained networks.
local home = debug.getinfo(1, "S").source:match "^@(.*[/\\])" or ""

--- The path of a file in lua/diffusion/assets.
---@param name string "digits.safetensors"
---@return string path
local function path(name) return home .. "assets/" .. name end

return { path = path }
