-- Records of UNet2DConditionModel, as spec/peers/unet2dcondition.py writes them, and this library's answers.
local d = require "diffusion"
local digests = require "spec.support.peer_digests"
local known = require "diffusion.network.unet2dcondition"
local opts = require "diffusion.opts"

local SEEDS = { x = 103, class = 104, context = 105, text_embeds = 106, image_embeds = 107, time_cond = 108,
  hint = 109 }

-- Labels count from 1 here.
local function class_of(case, options, leaves)
  if type(case.class) ~= "table" then return leaves.class end
  local first, out = options.class_embed_type and 0 or 1, {}
  for i, k in ipairs(case.class) do out[i] = k + first end
  return out
end

-- t as ours: 1 more, unless the network's time is a noise level.
local function times(case, options)
  local out = {}
  for i, t in ipairs(case.t) do out[i] = options.time_embedding_type == "fourier" and t or t + 1 end
  return out
end

local function whole(list) return list and d.tensor(list, { dtype = "i64" }) end

-- The names of the network's inputs as a set.
local function inputs_of(options)
  local out = {}
  for _, one in ipairs(known.inputs(opts.check(known.name, options, known.options))) do
    out[type(one) == "table" and one[1] or one] = true
  end
  return out
end

-- The inputs that have a gradient and that the network reads, in our layout.
local function leaves(case, options)
  local out, reads = { { "x", digests.uniform(case.x, SEEDS.x) } }, inputs_of(options)
  local shapes = opts.joined(case.inputs, { class = math.type(case.class) and { 2, math.tointeger(case.class) } })
  for _, name in ipairs(opts.names(shapes)) do
    if reads[name] then out[#out + 1] = { name, digests.uniform(shapes[name], SEEDS[name]) } end
  end
  return out
end

local function call(case, options, model, given)
  local o = opts.joined(given, { class = class_of(case, options, given), time_ids = whole(case.time_ids),
    mask = inputs_of(options).mask and whole(case.mask) })
  o.x = nil
  return model(given.x, times(case, options), o)
end

local M = digests.of(known.name, { leaves = leaves, call = call })

M.theirs = digests.theirs

local function values_of(case, options)
  local out = {}
  for _, one in ipairs(leaves(case, options)) do out[one[1]] = one[2] end
  return out
end

--- The output of a case, in our layout.
function M.run(case, options, model) return call(case, options, model, values_of(case, options)) end

--- The inputs of a case by the peer's names, in its layout.
function M.given(case, options)
  local out = {}
  for name, v in pairs(values_of(case, options)) do out[name] = digests.theirs(v) end
  out.time_ids, out.mask = whole(case.time_ids), inputs_of(options).mask and whole(case.mask)
  out.context = out.context or digests.uniform(case.inputs.context, SEEDS.context)
  if type(case.class) == "table" then
    out.class = options.class_embed_type and d.tensor(case.class) or whole(case.class)
  end
  return out
end

return M
