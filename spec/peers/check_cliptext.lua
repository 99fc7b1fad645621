-- Compares CLIPTextModel and CLIPTextModelWithProjection with transformers: random configurations, forward
-- and backward. Saved ones are opened there. Then those of Stable Diffusion run at full size, with their
-- times. SEED chooses other configurations. FULL=0 leaves the large models out.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local check = require "spec.support.peer_check"
local cliptext = require "spec.support.peer_cliptext"
local family = require "diffusion.nn.family"
local peers = require "diffusion.nn.peers"

local N = 30

local pick, seed = check.chooser()

local function between(low, high)
  local list = {}
  for i = low, high do list[#list + 1] = i end
  return pick(list)
end

local acts = { "quick_gelu", "gelu", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python",
  "gelu_python_tanh", "silu", "swish", "relu", "mish", "tanh", "linear" }

-- Texts of n ids, each with an end somewhere.
local function texts(B, n, vocabulary, eos)
  local out = {}
  for b = 1, B do
    local row = {}
    for i = 1, n do row[i] = between(0, vocabulary - 1) end
    row[between(1, n)] = eos
    out[b] = row
  end
  return out
end

local function random_case()
  local heads, vocabulary, most = pick { 1, 2, 3, 5 }, pick { 3, 40, 200 }, pick { 1, 4, 20, 77 }
  local legacy = pick { true, false, false }
  local config = {
    vocab_size = vocabulary, hidden_size = heads * pick { 4, 8, 10 }, intermediate_size = pick { 3, 16, 40 },
    projection_dim = pick { 1, 6, 33 }, num_hidden_layers = pick { 1, 2, 3, 5 }, num_attention_heads = heads,
    max_position_embeddings = most, hidden_act = pick(acts), layer_norm_eps = pick { 1e-5, 1e-6, 1e-3 },
    pad_token_id = 0, bos_token_id = 1, eos_token_id = legacy and 2 or between(3, math.max(vocabulary - 1, 3)),
  }
  if vocabulary == 3 then config.eos_token_id = 2 end
  local ids = texts(pick { 1, 2, 3 }, between(1, most), vocabulary, legacy and vocabulary - 1 or config.eos_token_id)
  return { class = pick { "CLIPTextModel", "CLIPTextModelWithProjection" }, config = config, ids = ids,
    skip = between(0, config.num_hidden_layers) }
end

d.precision "highest"
check.limit = 2e-5
local list = {}
for i = 1, N do list[i] = random_case() end
for i, case in ipairs(check.recorded("cliptext", list)) do
  check.line(("cliptext %d.%d %s %s"):format(seed, i, case.class, case.config.hidden_act), cliptext.compare(case))
end

local function options_of(case)
  local known = family.find "cliptext"
  local options = peers.options(known, known.peers.diffusers, case.config)
  options.projection = case.class == "CLIPTextModelWithProjection"
  return options
end

-- A network of random values, saved, with a token that was added.
local function saved(case)
  local model = d.cliptext(options_of(case))
  for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.1) end
  if case.config.eos_token_id ~= 2 then model:add_tokens(d.randn(1, case.config.hidden_size)) end
  local states, pooled = model(case.ids)
  return { name = ("cliptext %d %s"):format(seed, case.class), model = model,
    io = { ids = d.tensor(case.ids, { dtype = "i64" }), y = model:config().projection and pooled or states } }
end

local some = {}
for i = 1, 6 do some[i] = saved(random_case()) end
check.reopened(some)

local function full_size(name, class, config)
  config.eos_token_id = 2
  local case = { class = class, config = config, ids = texts(2, 77, 49407, 49407), skip = 1, full = os.tmpname() }
  case = check.recorded("cliptext", { case })[1]
  local known = family.find "cliptext"
  local model = assert(peers.model(known, options_of(case), assert(d.load(case.full)), { frozen = true }))
  local states, pooled = model(case.ids)
  local off = { last = cases.ratio(states, case.get "last"), pooled = cases.ratio(pooled, case.get "pooled"),
    raw = cases.ratio(model(case.ids, { skip = 1, norm = false }), case.get "raw") }
  local times = check.times(case, { forward = function() return (model(case.ids)) end })
  d.precision "highest"
  os.remove(case.full)
  check.line(("%s, %d parameters in %d tensors"):format(name, model:count(), #case.keys), off, times)
end

if os.getenv "FULL" ~= "0" then
  check.limit = 2e-4
  full_size("Stable Diffusion 1.5", "CLIPTextModel", { hidden_size = 768, intermediate_size = 3072,
    num_attention_heads = 12 })
  full_size("Stable Diffusion 2.1", "CLIPTextModel", { hidden_size = 1024, intermediate_size = 4096,
    num_attention_heads = 16, num_hidden_layers = 23, hidden_act = "gelu" })
  full_size("SDXL's second", "CLIPTextModelWithProjection", { hidden_size = 1280, intermediate_size = 5120,
    num_attention_heads = 20, num_hidden_layers = 32, hidden_act = "gelu", projection_dim = 1280 })
end
check.finish "cliptext"
