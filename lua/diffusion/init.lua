--- diffusion: denoising diffusion models in Lua over a C core. Everything is in the table
--- that this file returns; parts load when they are first used.
local wanted = os.getenv "DIFFUSION_PRECISION" or "single"
local double = wanted == "double"
if not (double or wanted == "single" or wanted == "") then
  error(("DIFFUSION_PRECISION is '%s'; double picks the verification build, single or nothing the usual one"
    ):format(wanted), 0)
end
local function part(name) return require(("diffusion.%s"):format(name)) end
if double then package.loaded["diffusion.core"] = part "core64" end
local core = require "diffusion.core"

local d = { _VERSION = "diffusion 0.1.0" }

-- What the core offers directly.
local from_core = {
  "tensor", "zeros", "ones", "full", "arange", "linspace", "eye", "frombytes",
  "threads", "precision", "memory_limit", "manual_seed", "randn", "rand", "bernoulli", "randint",
  "randperm", "generator", "linalg",
}
for _, name in ipairs(from_core) do d[name] = core[name] end
for _, name in ipairs { "cat", "stack", "where", "mix", "mse", "l1", "huber", "cross_entropy" } do
  d[name] = core.ops[name]
end

-- Names that live in a file of their own, loaded when first asked for.
local home = {
  record = "gradient", grad = "gradient", no_grad = "gradient", scope = "gradient",
  gradcheck = "gradient", sample = "sampler", objective = "objective",
  precondition = "precondition", reflow = "reflow", pp = "print",
  network = "nn.family", adamw = "optim", ema = "ema",
  posthoc_ema = "ema.posthoc",
  schedule = "schedule", process = "process", grid = "grid", trainer = "trainer",
  checkpoint = "checkpoint", load_model = "nn.load", memory = "runtime", info = "runtime",
  profile = "runtime", save = "file.safetensors", load = "file.safetensors", help = "help",
  prompt = "prompt",
}

-- Names that are a file's whole table.
local whole = {
  nn = true, lr = true, sampler = true, guidance = true, metric = true, oracle = true,
  plot = true, data = true, image = true, check = true,
  likelihood = true, edit = true,
}

local function load(name)
  if whole[name] then return part(name) end
  if home[name] then return part(home[name])[name] end
  local family = part "nn.family".find(name) -- d.unet: a file in network/
  return family and family.new
end

-- Lua itself reads 0.5 by the locale's decimal point.
local function loaded(name) return core.in_c_locale(load, name) end

setmetatable(d, {
  __tostring = function() return d._VERSION .. "; d.help() lists what there is" end,
  __index = function(t, name)
    local value = loaded(name)
    rawset(t, name, value)
    return value
  end,
  -- all names, those too that nothing has asked for yet
  __pairs = function(t)
    for name in next, home do local _ = t[name] end
    for name in next, whole do local _ = t[name] end
    for name, entry in next, part "reference" do
      if entry.family then local _ = t[name:match "[%w_]+$"] end
    end
    return next, t, nil
  end,
})

local tensor_meta = debug.getmetatable(core.zeros(1))
function tensor_meta.__tostring(x) return require("diffusion.print").tensor_text(x) end
part "legible".speaks(tensor_meta)
function tensor_meta.__concat(a, b) return tostring(a) .. tostring(b) end

return d
