-- Compares AutoencoderTiny, VQModel and AutoencoderKL with diffusers: random configurations, forward and
-- backward. Then TAESD, LDM's VQ-f4 and Stable Diffusion's run at full size, with their times. SEED
-- chooses other configurations. FULL=0 leaves the large models out. Small models run at the precision
-- highest.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local autoencoders = require "spec.support.peer_autoencoders"
local cases = require "spec.support.peer_cases"
local check = require "spec.support.peer_check"
local family = require "diffusion.nn.family"
local peers = require "diffusion.nn.peers"

local N = 20

local pick, seed = check.chooser()
local function flag() return pick { true, false } end

local function several(n, list)
  local out = {}
  for i = 1, n do out[i] = pick(list) end
  return out
end

local function filled(n, value)
  local out = {}
  for i = 1, n do out[i] = value end
  return out
end

local acts = { "silu", "swish", "mish", "gelu", "relu" }

local function random_tiny()
  local down, up, latents = pick { 1, 2, 3 }, pick { 1, 2, 3 }, pick { 1, 4, 5 }
  local config = {
    in_channels = pick { 1, 3, 4 }, out_channels = pick { 1, 3 }, act_fn = pick(acts), latent_channels = latents,
    encoder_block_out_channels = filled(down, pick { 3, 8, 10 }), num_encoder_blocks = several(down, { 0, 1, 2 }),
    decoder_block_out_channels = filled(up, pick { 3, 8, 10 }), num_decoder_blocks = several(up, { 0, 1, 2 }),
    upsampling_scaling_factor = pick { 1, 2, 3 }, upsample_fn = pick { "nearest", "nearest-exact" },
    latent_magnitude = pick { 2, 3 }, latent_shift = pick { 0.5, 0.3 },
  }
  return { class = "AutoencoderTiny", config = config, x = { pick { 1, 2 }, config.in_channels, 8, pick { 6, 8, 9 } },
    z = { pick { 1, 2 }, latents, 2, 3 } }
end

-- Groups of few numbers with nearly one value would multiply any rounding, so images aren't too small.
local function random_vq()
  local levels, latents, spatial = pick { 1, 2, 3 }, pick { 3, 4 }, pick { true, false, false }
  local groups = spatial and 32 or pick { 1, 2, 4 }
  local config = {
    in_channels = pick { 1, 3 }, out_channels = pick { 1, 3 }, act_fn = pick(acts), latent_channels = latents,
    down_block_types = several(levels, { "DownEncoderBlock2D", "AttnDownEncoderBlock2D" }),
    up_block_types = several(levels, { "UpDecoderBlock2D", "AttnUpDecoderBlock2D" }),
    block_out_channels = several(levels, spatial and { 32, 64 } or { 8, 12, 16 }), layers_per_block = pick { 1, 2 },
    num_vq_embeddings = pick { 1, 7, 30 }, norm_num_groups = groups, norm_type = spatial and "spatial" or "group",
    vq_embed_dim = not spatial and pick { latents, 2, 5 } or latents, mid_block_add_attention = flag(),
    lookup_from_codebook = flag(), sample_size = pick { 8, 32 },
  }
  return { class = "VQModel", config = config, x = { pick { 1, 2 }, config.in_channels, 16, pick { 16, 18, 19 } },
    z = { pick { 1, 2 }, config.vq_embed_dim, 4, 3 } }
end

-- Tiles are whole latents, as far as diffusers joins them to an image.
local function random_tile(factor)
  return pick { false, false, true, { size = 4 * factor }, { size = 8 * factor, overlap = 0.25 },
    { size = 6 * factor, overlap = 0.5 }, { size = 3 * factor, overlap = 0 } } or nil
end

local function random_kl()
  local levels, latents = pick { 1, 2, 3 }, pick { 1, 4, 6 }
  local factor = 1 << levels - 1
  local config = {
    in_channels = pick { 1, 3 }, out_channels = pick { 1, 3 }, act_fn = pick(acts), latent_channels = latents,
    down_block_types = several(levels, { "DownEncoderBlock2D", "AttnDownEncoderBlock2D" }),
    up_block_types = several(levels, { "UpDecoderBlock2D", "AttnUpDecoderBlock2D" }),
    block_out_channels = several(levels, { 8, 12, 16 }), layers_per_block = pick { 1, 2 },
    norm_num_groups = pick { 1, 2, 4 }, mid_block_add_attention = flag(), use_quant_conv = flag(),
    use_post_quant_conv = flag(), sample_size = factor * pick { 4, 8 },
  }
  local side = pick { 8, 9, 12 }
  return { class = "AutoencoderKL", config = config, tile = random_tile(factor), x = { pick { 1, 2 },
    config.in_channels, side * factor, 9 * factor }, z = { pick { 1, 2 }, latents, pick { 4, 9 }, side } }
end

-- The input of a relu near 0 may round to either side. Then that pixel's gradient is another.
local function without_kinks(case, off)
  if case.config.act_fn ~= "relu" then return off end
  local outputs = {}
  for name, ratio in pairs(off) do
    if case.get(name) or ratio > 2e-2 then outputs[name] = ratio end
  end
  return outputs
end

local function compare(script, list)
  for i, case in ipairs(check.recorded(script, list)) do
    check.line(("autoencoders %d.%d %s %s%s"):format(seed, i, case.class, case.config.act_fn,
      case.tile and " in tiles" or ""), without_kinks(case, autoencoders.compare(case)))
  end
end

local list, kl = {}, {}
for i = 1, N do list[i] = (i % 2 == 0 and random_tiny or random_vq)() end
for i = 1, N do kl[i] = random_kl() end
d.precision "highest"
compare("autoencoders", list)
compare("autoencoderkl", kl)

-- A network of random values, saved. A tiny one is decoded only, since its call rounds.
local function saved(case)
  local name = autoencoders.family(case.class)
  local model = d[name]((peers.options(family.find(name), family.find(name).peers.diffusers, case.config)))
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
  local z = cases.input(case.z, 5)
  return { name = ("autoencoders %d %s"):format(seed, case.class), model = model,
    io = { z = cases.theirs(z), y = cases.theirs((model:decode(z))) } }
end

check.reopened { saved(random_tiny()), saved(random_vq()), saved(random_tiny()), saved(random_vq()),
  saved(random_kl()), saved(random_kl()), saved(random_kl()) }

local function full_size(name, case)
  case.full = os.tmpname()
  local is_kl = case.class == "AutoencoderKL"
  case = check.recorded(is_kl and "autoencoderkl" or "autoencoders", { case })[1]
  local model = check.full(case, autoencoders.family(case.class))
  local x, z = cases.input(case.x, 1), cases.input(case.z, 2)
  local given = case.class == "AutoencoderTiny" and z * 3 or z
  local off = { latents = cases.ratio(cases.theirs((model:encode(x))), case.get(is_kl and "mean" or "latents")),
    sample = cases.ratio(cases.theirs((model:decode(given))), case.get "sample") }
  local times = check.times(case, { encode = function() return model:encode(x) end,
    decode = function() return (model:decode(z)) end })
  os.remove(case.full)
  check.line(("%s, %d parameters in %d tensors"):format(name, model:count(), #case.keys), off, times)
end

d.precision "high"
if os.getenv "FULL" ~= "0" then
  full_size("TAESD at 256 x 256", { class = "AutoencoderTiny", config = {}, x = { 1, 3, 256, 256 },
    z = { 1, 4, 32, 32 } })
  full_size("VQ-f4 at 256 x 256", { class = "VQModel", x = { 1, 3, 256, 256 }, z = { 1, 3, 64, 64 }, config = {
    down_block_types = filled(3, "DownEncoderBlock2D"), up_block_types = filled(3, "UpDecoderBlock2D"),
    block_out_channels = { 128, 256, 512 }, layers_per_block = 2, num_vq_embeddings = 8192, sample_size = 256 } })
  full_size("Stable Diffusion's at 128 x 128", { class = "AutoencoderKL", x = { 1, 3, 128, 128 },
    z = { 1, 4, 16, 16 }, config = { down_block_types = filled(4, "DownEncoderBlock2D"),
    up_block_types = filled(4, "UpDecoderBlock2D"), block_out_channels = { 128, 256, 512, 512 },
    layers_per_block = 2, sample_size = 512 } })
end
check.finish "autoencoders"
