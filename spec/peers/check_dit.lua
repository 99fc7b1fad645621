-- Compares DiTTransformer2DModel with diffusers: random configurations, forward and backward, then
-- DiT-XL/2 of full size with its times. SEED chooses other configurations. FULL=0 leaves DiT-XL/2 out.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local check = require "spec.support.peer_check"
local dit = require "spec.support.peer_dit"

local N = 30

local pick, seed = check.chooser()
local function flag() return pick { true, false } end

local function random_case()
  local patch, grid = pick { 1, 2, 2, 3 }, pick { 2, 3, 4, 5 }
  local config = {
    num_attention_heads = pick { 1, 2, 3 }, attention_head_dim = pick { 4, 8, 12, 20 }, in_channels = pick { 1, 3, 4 },
    num_layers = pick { 1, 2, 3 }, attention_bias = flag(), sample_size = patch * pick { grid, grid, grid + 1, 2 },
    patch_size = patch, num_embeds_ada_norm = pick { 1, 5, 10 }, norm_elementwise_affine = flag(),
    norm_eps = pick { 1e-5, 1e-6, 1e-3 }, upcast_attention = flag(), dropout = pick { 0, 0.1 },
    activation_fn = pick { "gelu", "gelu-approximate", "geglu", "geglu-approximate", "swiglu", "linear-silu" },
  }
  config.out_channels = pick { config.in_channels, 2 * config.in_channels }
  local B, side = pick { 1, 2, 3 }, patch * grid
  local case = { class = "DiTTransformer2DModel", config = config, x = { B, config.in_channels, side, side },
    t = {}, labels = {} }
  for i = 1, B do
    case.t[i], case.labels[i] = pick { 0, 1, 17, 250, 500, 998, 999 }, pick { 0, 0, config.num_embeds_ada_norm }
  end
  return case
end

local list = {}
for i = 1, N do list[i] = random_case() end
for i, case in ipairs(check.recorded("dit", list)) do
  check.line(("dit %d.%d %s"):format(seed, i, case.config.activation_fn), dit.compare(case))
end

-- A network of random values, saved.
local function saved(config)
  local model = d.dittransformer2d(config)
  for _, p in model:parameters() do p:copy_(d.randn(p:shape()) * 0.1) end
  local x = d.randn(2, config.sample_size, config.sample_size, config.in_channels)
  local io = { x = cases.theirs(x), t = d.tensor { 7, 500 }, label = d.tensor({ 0, config.num_embeds_ada_norm },
    { dtype = "i64" }), y = cases.theirs(model(x, { 8, 501 }, { class = { 1, 0 } })) }
  return { name = ("dit %d %s"):format(seed, config.activation_fn), model = model, io = io }
end

check.reopened { saved(random_case().config), saved(random_case().config), saved(random_case().config) }

-- DiT-XL/2 at 256 x 256 pixels: 32 x 32 latents.
local function full_size()
  local path = os.tmpname()
  local case = check.recorded("dit", { { class = "DiTTransformer2DModel", full = path, x = { 1, 4, 32, 32 },
    config = { out_channels = 8 }, t = { 321 }, labels = { 207 } } })[1]
  local model = check.full(case, "dittransformer2d")
  local x, t, given = dit.inputs(case)
  local off = { y = cases.ratio(cases.theirs(model(x, t, given)), case.get "y") }
  local times = check.times(case, { forward = function() return model(x, t, given) end })
  os.remove(path)
  check.line(("DiT-XL/2, %d parameters in %d tensors"):format(model:count(), #case.keys), off, times)
end

if os.getenv "FULL" ~= "0" then full_size() end
check.finish "dit"
