--- diffusion: denoising diffusion models in Lua over a C core. This file returns a table of
--- everything. Parts are loaded on first use.
local wanted = os.getenv "DIFFUSION_PRECISION" or "single"
local double = wanted == "double"
if not (double or wanted == "single" or wanted == "") then
  error(("DIFFUSION_PRECISION is '%s'; double picks the verification build, single or nothing the usual one"
    ):format(wanted), 0)
end
local function part(name) return require(("diffusion.%s"):format(name)) end
if double then package.loaded["diffusion.core"] = part "core64" end
local core = require "diffusion.core"
local lookup = part "lookup"

local d = { _VERSION = "diffusion 0.1.0" }

-- Names that come directly from the core.
local from_core = {
  "tensor", "zeros", "ones", "full", "arange", "linspace", "eye", "frombytes",
  "threads", "precision", "memory_limit", "pack_budget", "manual_seed", "randn", "rand", "bernoulli",
  "randint", "randperm", "generator", "linalg",
}
for _, name in ipairs(from_core) do d[name] = core[name] end
lookup.functions("d.linalg", core.linalg)
lookup.strict("tensor", core.methods, { "grad" }, part "torch_names")
lookup.strict("generator", debug.getmetatable(core.generator { seed = 0 }).__index)
for _, name in ipairs { "cat", "stack", "where", "mix", "mse", "l1", "huber", "cross_entropy" } do
  d[name] = core.ops[name]
end

-- Names that are in a file of their own, loaded on first use.
local home = {
  record = "gradient", grad = "gradient", no_grad = "gradient", scope = "gradient",
  gradcheck = "gradient", sample = "sampler", objective = "objective",
  precondition = "precondition", reflow = "reflow", pp = "print",
  network = "nn.family", adamw = "optim", ema = "ema",
  posthoc_ema = "ema.posthoc",
  schedule = "schedule", process = "process", estimate_variance = "process", grid = "grid", trainer = "trainer",
  checkpoint = "checkpoint", load_model = "nn.load", load_pipeline = "pipeline", memory = "runtime", info = "runtime",
  profile = "runtime", save = "file.safetensors", load = "file.tensors", help = "help",
  prompt = "prompt", warnings = "warning", command = "command", tokenizer = "text.tokenizer",
}

-- Names that stand for a file's whole table.
local whole = {
  nn = true, lr = true, sampler = true, guidance = true, metric = true, oracle = true,
  plot = true, data = true, image = true, check = true,
  likelihood = true, edit = true, hub = true,
}

-- A family of networks has a file in network/: d.unet.
local function family_of(name)
  local family = part "nn.family".find(name)
  return family and family.new
end

-- The ranks of mpirun. They are joined when their name is first read, and never by listing names.
local function ranks()
  local found, mpi = pcall(part, "mpi")
  if found then return mpi end
  if not tostring(mpi):find("module 'diffusion.mpi' not found", 1, true) then error(mpi, 0) end
  part("fail").raise "diffusion was built without MPI, so there is no d.mpi; d.help \"mpi\" says how to get it"
end

local function load(name)
  if name == "mpi" then return ranks() end
  if whole[name] then return lookup.functions("d." .. name, part(name)) end
  if home[name] then return lookup.functions("d." .. name, part(home[name])[name]) end
  return family_of(name)
end

-- The families that the reference lists.
local function families()
  local names = {}
  for name, entry in next, (part "reference") do
    if entry.family then names[name:match "[%w_]+$"] = true end
  end
  return names
end

-- All names, even if they aren't loaded yet.
local function names_of(t)
  local names = {}
  for _, list in ipairs { t, home, whole, families() } do
    for name in next, list do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- Lua itself would read 0.5 with the locale's decimal point.
local function loaded(name) return core.in_c_locale(load, name) end

setmetatable(d, {
  __tostring = function() return d._VERSION .. "; d.help() lists what there is" end,
  __index = function(t, name)
    if type(name) ~= "string" or name:sub(1, 2) == "__" then return nil end
    local value = loaded(name)
    if value == nil then part("fail").raise("%s", lookup.sentence("diffusion has", name, names_of(t))) end
    rawset(t, name, value)
    return value
  end,
  -- lists all names, even if they aren't loaded yet
  __pairs = function(t)
    for _, name in ipairs(names_of(t)) do local _ = t[name] end
    return next, t, nil
  end,
})

local tensor_meta = debug.getmetatable(core.zeros(1))
function tensor_meta.__tostring(x) return require("diffusion.print").tensor_text(x) end
part "legible".speaks(tensor_meta)
function tensor_meta.__concat(a, b) return tostring(a) .. tostring(b) end

return d
