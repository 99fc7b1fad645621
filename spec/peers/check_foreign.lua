-- Compares networks of other libraries with references of their formulas, forward and backward, in random
-- configurations. Then it reads networks of published sizes from PyTorch's files, with their times. SEED
-- chooses other configurations. FULL=words takes the large networks whose names have them; FULL=none none.
package.path = "./?.lua;" .. package.path
local cases = require "spec.support.peer_cases"
local check = require "spec.support.peer_check"
local foreign = require "diffusion.hub.foreign"
local foreign_cases = require "spec.support.foreign_cases"

local N = tonumber(os.getenv "N" or "12") -- cases for each library

local pick, seed = check.chooser()
local function flag() return pick { true, false } end

local function joined(...)
  local out = {}
  for _, list in ipairs { ... } do
    for key, value in pairs(list) do out[key] = value end
  end
  return out
end

local PROCESS = { schedule = "linear", T = 1000, predict = "eps" }
local function fixed(learned) return not learned and "fixed_small" or nil end

-- ==== random configurations ===========================================================================

local random = {}

local versions = { { "0.22.0", layer = "bias" },
  { "0.27.12", cosine = 10, standard = true, spread = true, layer = true },
  { "0.28.0", standard = true, spread = true, layer = true }, { "1.6.4", standard = true, spread = true, layer = true },
  { "1.7.0", standard = true, spread = true }, { "1.7.3", spread = true }, { "1.9.4" } }

local function lucidrains_of_group(config, given)
  local version = pick(versions)
  config.norm, config.groups = "group", pick { 1, 2, 4 }
  given.version, given.groups = version[1], config.groups
  for key, value in pairs(version) do if key ~= 1 then config[key] = value end end
  if version[1] ~= "1.9.4" then
    config.memory, config.old, config.full = 0, true, { false, false }
    config.shrink = version[1] < "0.30"
    config.dim_mults, config.heads, config.dim_head, given.heads = pick { { 1, 2 }, { 2, 1 } }, 4, pick { 2, 8 }, 4
  end
end

function random.lucidrains()
  local levels = pick { 1, 2, 3 }
  local config, given = { dim = pick { 8, 12 }, dim_mults = {}, full = {}, heads = {}, dim_head = {},
    memory = pick { 1, 4 }, channels = pick { 1, 3 }, theta = 10000 }, {}
  for i = 1, levels do
    config.dim_mults[i], config.full[i] = pick { 1, 2, 3 }, flag()
    config.heads[i], config.dim_head[i] = pick { 1, 2, 4 }, pick { 4, 6 }
  end
  config.init_dim = pick { 8, 16 }
  config.self_condition, config.outputs, config.learned = flag(), pick { 1, 2 }, flag()
  if flag() then lucidrains_of_group(config, given) end
  local image = { 2, config.channels, pick { 8, 16 }, 8 }
  local t = config.learned and { 0.5, -2 } or { pick { 0, 999 }, 40 }
  return { class = "Unet", image = image, t = t, config = config,
    self_cond = config.self_condition and flag() or nil,
    given = joined(PROCESS, { time = config.learned and "log_snr" or nil, image = { image[3], 8, image[2] } }, given) }
end

function random.edm()
  local song, levels = flag(), pick { 1, 2, 3 }
  local config = { model_channels = pick { 8, 16 }, mult = {}, blocks = pick { 1, 2 }, attn = pick { {}, { 8 }, { 4 } },
    label = pick { 0, 4 }, augment = pick { 0, 3 }, mult_emb = pick { 2, 4 } }
  for i = 1, levels do config.mult[i] = pick { 1, 2, 3 } end
  if song then
    config.embedding, config.noise = pick { "positional", "fourier" }, pick { 1, 2 }
    config.encoder, config.decoder = pick { "standard", "skip", "residual" }, pick { "standard", "skip" }
    config.filter = pick { { 1, 1 }, { 1, 3, 3, 1 } }
  else config.head_channels = pick { 4, 8 } end
  return { class = song and "SongUNet" or "DhariwalUNet", image = { 2, 3, 8, 8 }, t = { -1.25, 0.5 }, config = config,
    classes = config.label > 0 and { 3, -1 } or nil, augment = config.augment > 0 and { 2, 3 } or nil,
    given = { precondition = "edm", sigma_data = 0.5, head_channels = config.head_channels } }
end

local function random_unet()
  local levels, heads = pick { 1, 2, 3 }, pick { 1, 2, 4 }
  local config = { channels = 32, mult = {}, blocks = pick { 1, 2 }, attn = pick { { 1 }, { 2 }, { 1, 4 } },
    order = pick { "legacy", "new" }, scale_shift = flag(), updown = flag(), classes = pick { 0, 5 },
    out = pick { 3, 6 } }
  for i = 1, levels do config.mult[i] = pick { 1, 2, 3 } end
  local given = joined(PROCESS, { image = 8, qkv_order = config.order, variance = fixed(config.out == 6) })
  if flag() then config.heads, given.heads = heads, heads
  else config.head_channels, given.head_channels = 16, 16 end
  return { class = "UNetModel", image = { 2, 3, 8, 8 }, t = { 0, 731 }, config = config, given = given,
    classes = config.classes > 0 and { 4, 1 } or nil }
end

local function random_dit()
  local config = { width = pick { 16, 24 }, heads = pick { 1, 2, 4 }, depth = pick { 1, 3 }, patch = pick { 1, 2, 4 },
    classes = 5, none = flag(), out = pick { 3, 6 } }
  return { class = "DiT", image = { 2, 3, 8, 8 }, t = { 0, 731 }, config = config,
    classes = { config.none and -1 or 0, 4 },
    given = joined(PROCESS, { heads = config.heads, classes = 5, variance = fixed(config.out == 6) }) }
end

function random.adm() return (flag() and random_unet or random_dit)() end

for _, script in ipairs { "lucidrains", "edm", "adm" } do
  local list = {}
  for i = 1, N do list[i] = random[script]() end
  for i, case in ipairs(check.recorded(script, list)) do
    local y, dx, gradients, name = foreign_cases.compare(case, case.given)
    check.line(("%s %d.%d %s"):format(script, seed, i, case.class), { y = y, dx = dx, gradients = gradients }, name)
  end
end

-- ==== published sizes ================================================================================

local large = {
  { "lucidrains' default, 64 x 64", "lucidrains", { class = "Unet", image = { 1, 3, 64, 64 }, t = { 321 },
    config = { dim = 64 }, given = joined(PROCESS, { image = 64 }) } },
  { "EDM DDPM++ of CIFAR-10", "edm", { class = "SongUNet", image = { 1, 3, 32, 32 }, t = { -0.4 },
    config = { label = 10, augment = 9, mult = { 2, 2, 2 } }, given = { precondition = "edm", sigma_data = 0.5 } } },
  { "EDM NCSN++ of CIFAR-10", "edm", { class = "SongUNet", image = { 1, 3, 32, 32 }, t = { -0.4 },
    config = { augment = 9, mult = { 2, 2, 2 }, embedding = "fourier", noise = 2, encoder = "residual",
      filter = { 1, 3, 3, 1 } }, given = { precondition = "edm", sigma_data = 0.5 } } },
  { "EDM ADM of ImageNet-64", "edm", { class = "DhariwalUNet", image = { 1, 3, 64, 64 }, t = { -0.4 },
    config = { label = 1000 }, given = { precondition = "edm", sigma_data = 0.5 } } },
  { "improved-diffusion, CIFAR-10", "adm", { class = "UNetModel", image = { 1, 3, 32, 32 }, t = { 321 },
    config = { channels = 128, mult = { 1, 2, 2, 2 }, blocks = 3, attn = { 2, 4 }, heads = 4, scale_shift = true,
      out = 6 }, given = joined(PROCESS, { image = 32, heads = 4, qkv_order = "legacy" }) } },
  { "guided-diffusion, ImageNet-64", "adm", { class = "UNetModel", image = { 1, 3, 64, 64 }, t = { 321 },
    classes = { 207 },
    config = { channels = 192, mult = { 1, 2, 3, 4 }, blocks = 3, attn = { 2, 4, 8 }, head_channels = 64, order = "new",
      scale_shift = true, updown = true, classes = 1000, out = 6 },
    given = joined(PROCESS, { image = 64, head_channels = 64, qkv_order = "new" }) } },
  { "DiT-B/2", "adm", { class = "DiT", image = { 1, 4, 32, 32 }, t = { 321 }, classes = { 207 },
    config = { width = 768, heads = 12, depth = 12, classes = 1000 },
    given = joined(PROCESS, { heads = 12, classes = 1000 }) } },
}

local function full_size(title, script, case)
  case.full = os.tmpname() .. ".pt"
  case = check.recorded(script, { case })[1]
  local parts = assert(foreign.load(case.full, joined(case.given, { frozen = true })))
  local net = parts.unet
  local x, t, given = foreign_cases.inputs(case, net)
  local off = { y = cases.ratio(cases.theirs(net(x, t, given)), case.get "y") }
  local times = check.times(case, { forward = function() return net(x, t, given) end })
  os.remove(case.full)
  check.line(("%s, %d parameters"):format(title, net:count()), off, times)
end

local wanted = os.getenv "FULL" or ""
for _, one in ipairs(large) do
  if one[1]:find(wanted, 1, true) then full_size(table.unpack(one)) end
end
check.finish "foreign"
