--- diffusion: denoising diffusion models in Lua over a C core. Everything is in the table
--- that this file returns; parts load when they are first used.
local double = os.getenv "DIFFUSION_PRECISION" == "double"
if double then package.loaded["diffusion.core"] = require("diffusion." .. "core64") end
local core = require "diffusion.core"

local d = { _VERSION = "diffusion 0.1.0" }

-- What the core offers directly.
local from_core = {
  "tensor", "zeros", "ones", "full", "arange", "linspace", "eye", "frombytes",
  "threads", "precision", "memory_limit", "manual_seed", "randn", "rand", "randint",
  "randperm", "generator", "linalg",
}
for _, name in ipairs(from_core) do d[name] = core[name] end
for _, name in ipairs { "cat", "stack", "where", "mix", "mse", "l1", "huber", "cross_entropy" } do
  d[name] = core.ops[name]
end

-- Names that live in a file of their own, loaded when first asked for.
local home = {
  record = "gradient", grad = "gradient", no_grad = "gradient", scope = "gradient",
  gradcheck = "gradient",
  schedule = "schedule", process = "process", grid = "grid",
}

setmetatable(d, {
  __index = function(t, name)
    local file = home[name]
    if not file then return nil end
    local value = require("diffusion." .. file)[name]
    rawset(t, name, value)
    return value
  end,
})

return d
