-- Records of UNet2DModel, as spec/peers/unet2d.py writes them, and this library's answers to the same
-- configurations, values and inputs.
local d = require "diffusion"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local values = require "spec.support.peer_values"

local unet2d = family.find "unet2d"
local entry = unet2d.peers.diffusers

local M = {}

local COTANGENT, PROBE, INPUT, CLASS = 101, 102, 103, 104

--- The cases of a file, each with a function get(name) for its tensors.
function M.read(path)
  local tensors, metadata = assert(d.load(path))
  local cases = json.decode(metadata.cases)
  for k, case in ipairs(cases) do
    function case.get(name) return tensors[("%d.%s"):format(k - 1, name)] end
  end
  return cases
end

--- A case as one line: the options that differ from the class's defaults.
function M.text(case)
  local words = {}
  for key, value in pairs(case.config) do
    if not key:find "^_" then
      words[#words + 1] = key .. "=" .. (value == json.null and "null" or type(value) == "table"
        and table.concat(value, ",") or tostring(value))
    end
  end
  table.sort(words)
  return table.concat(words, " ")
end

-- ==== keys and shapes =======================================================================

local function fnv(h, text)
  for i = 1, #text do h = (h ~ text:byte(i)) * 0x100000001B3 end
  return h
end

--- Returns the digest of {key = shape} as unet2d.py makes it, and how many tensors and elements there are.
function M.digest(shapes)
  local keys, h, elements = {}, 0xCBF29CE484222325, 0
  for key in pairs(shapes) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local n = 1
    for _, size in ipairs(shapes[key]) do n = n * size end
    elements = elements + n
    h = fnv(h, ("%s %s\n"):format(key, table.concat(shapes[key], ",")))
  end
  return ("%016x"):format(h), #keys, elements
end

--- The options of a config, which must have no key that isn't one.
function M.options(config)
  local known = {}
  for key, value in pairs(config) do if not key:find "^_" then known[key] = value end end
  local options, unknown = peers.options(unet2d, entry, known)
  assert(#unknown == 0, table.concat(unknown, ", "))
  return options
end

--- The keys of UNet2DModel with their shapes there, from our network alone. No values are made.
---@return table<string, integer[]>
function M.shapes(options)
  local shapes = {}
  local m, message = family.model(unet2d, options, { tensors = math.maxinteger, find = function(parameters)
    for _, p in ipairs(parameters) do shapes[peers.theirs(entry, p[1])] = peers.shape(p[2]) end
    return nil, "listed"
  end })
  assert(not m and message == "listed")
  return shapes
end

-- ==== models ================================================================================

--- The peer's values by its keys.
function M.values(options, shapes)
  local tensors = values.filled(shapes)
  if options.time_embedding_type == "fourier" then
    tensors["time_proj.weight"] = tensors["time_proj.weight"] * 16
  end
  return tensors
end

local function class_of(case, options)
  local given = case.class
  if given == nil then return nil end
  if given == "vector" then
    return values.uniform({ 2, options.time_embedding_dim or 4 * options.block_out_channels[1] }, CLASS):to(core.real)
  end
  local first, out = options.class_embed_type and 0 or 1, {} -- labels count from 0 there
  for i, k in ipairs(given) do out[i] = k + first end
  return out
end

--- t as ours: 1 more, unless the network's time is a noise level.
local function times(case, options)
  local out = {}
  for i, t in ipairs(case.t) do out[i] = options.time_embedding_type == "fourier" and t or t + 1 end
  return out
end

--- model(x, t, {class}) of a case, as images of torch. x may be an input of a record.
function M.run(case, options, model, x)
  x = x or M.input(case)
  local class = class_of(case, options)
  local y = model(x, times(case, options), class and { class = class })
  return y:permute(1, 4, 2, 3):contiguous()
end

function M.input(case) return values.uniform(case.x, INPUT):to(core.real):permute(1, 3, 4, 2):contiguous() end

-- ==== comparisons ===========================================================================

--- The largest difference over the largest number; NaN if one is NaN.
function M.ratio(got, want)
  got, want = got:detach():to(core.real), want:to(core.real)
  return (got - want):abs():max():item() / math.max(want:abs():max():item(), 1e-30)
end

-- Gradients by the peer's keys, in its layout.
local function gradients(model)
  local out = {}
  for name, p in model:parameters() do
    out[peers.theirs(entry, name)] = peers.given(p.grad or d.zeros(p:shape())):contiguous()
  end
  return out
end

-- The largest difference of the sums of gradients. Each is relative to sum(|g|) of its tensor, or to that
-- of a tensor of typical gradients, if the exact gradient is zero.
local function gradient_ratio(case, model, shapes)
  local keys, all, elements, worst, where = {}, 0, 0, 0, nil
  for key in pairs(shapes) do keys[#keys + 1] = key end
  table.sort(keys)
  local own, want = gradients(model), case.get "sums"
  for i, key in ipairs(keys) do all, elements = all + want[i][2], elements + own[key]:numel() end
  for i, key in ipairs(keys) do
    local g = own[key]
    local probe = (g * values.uniform(shapes[key], PROBE):to(core.real)):sum():item()
    local scale = math.max(want[i][2], all / elements * g:numel())
    local off = math.max(math.abs(probe - want[i][1]), math.abs(g:abs():sum():item() - want[i][2])) / scale
    if not (off <= worst) then worst, where = off, key end
  end
  return worst, where
end

--- Answers a case. Returns the distances of the output, of the gradient of x, of the gradients of the
--- parameters, and the key with the largest of these.
function M.answer(case)
  local options = M.options(case.config)
  local shapes = M.shapes(options)
  local digest, tensors, elements = M.digest(shapes)
  assert(digest == case.digest and tensors == case.tensors and elements == case.elements, "other keys or shapes")
  local model = assert(peers.model(unet2d, options, M.values(options, shapes))):eval()
  local y, dx
  local x = M.input(case)
  local leaf = x:clone()
  local out = d.record(function()
    y = M.run(case, options, model, leaf)
    return (y * values.uniform(y:shape(), COTANGENT):to(core.real)):sum()
  end)
  out:backward()
  dx = d.grad(function(v)
    return (M.run(case, options, model, v) * values.uniform(y:shape(), COTANGENT):to(core.real)):sum()
  end, x):permute(1, 4, 2, 3):contiguous()
  local sums, where = gradient_ratio(case, model, shapes)
  return M.ratio(y, case.get "y"), M.ratio(dx, case.get "dx"), sums, where
end

return M
