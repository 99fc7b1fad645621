-- Files of denoising-diffusion-pytorch: {step, model, opt, ema, version}, or a state dict of its Unet.
-- The version that stands in files since 1.0 tells how the blocks and the attentions compute.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local family = require "diffusion.network.lucidrains"
local precondition = require "diffusion.precondition"
local process = require("diffusion.process").process
local schedule = require("diffusion.schedule").schedule
local trained = require "diffusion.nn.trained"

local lucidrains = { name = "lucidrains", title = "a network of denoising-diffusion-pytorch",
  mark = "mid_block1.mlp.1.weight", entry = family.peers.lucidrains, known = family }

-- ==== versions ===========================================================================

-- "1.7.2" as a number that can be compared, nil for other texts.
local function number_of(version)
  local major, minor, patch = tostring(version):match "^(%d+)%.?(%d*)%.?(%d*)"
  if not major then return nil end
  return (tonumber(major) * 1000 + (tonumber(minor) or 0)) * 1000 + (tonumber(patch) or 0)
end

local function between(version, from, to) return version >= number_of(from) and version < number_of(to) end

-- The parts of a version that its keys don't show.
local function computes(v)
  return {
    standard_conv = between(v, "0.27.3", "1.7.2"), divide_values = between(v, "0.26.4", "1.7.4"),
    cosine_attn = between(v, "0.26", "0.27.3") and 16 or between(v, "0.27.3", "0.28") and 10 or 0,
    attn_norm = v < number_of "0.26.5" and "layer_bias" or v < number_of "1.7" and "layer" or "rms",
    fixed_heads = v < number_of "1.8.6" and 4 or nil,
  }
end

-- ==== sizes ==============================================================================

local function is_full(p, stem)
  return (p:shape(stem .. ".to_out.weight") or p:shape(stem .. ".fn.fn.to_out.weight")) ~= nil
end

-- Heads and the width of one in an attention, of which both are known or only the product.
local function heads_of(p, stem)
  local memory = p:shape(stem .. ".mem_kv")
  if memory then
    local key, full = stem .. ".mem_kv", is_full(p, stem)
    return p:size(key, 2), p:size(key, full and 4 or 3), p:size(key, full and 3 or 4)
  end
  local old = stem .. ".fn.fn.to_qkv.weight"
  return nil, p:part(p:shape(old) and old or stem .. ".to_qkv.weight", 3), 0
end

local function attentions(n)
  local stems = {}
  for i = 0, n - 1 do stems[i + 1] = ("downs.%d.2"):format(i) end
  stems[n + 1] = "mid_attn"
  return stems
end

-- Levels of the network with classes have 4 heads of 32 in all versions. The options are its middle's.
local function given_heads(p, o, i, n, width, stem, fixed)
  if o.classes > 0 and i <= n and width == 128 then return 4 end
  return p:heads(width, stem, i, fixed)
end

-- Sets the heads of each level and of the middle, from the file or from the option.
local function read_heads(p, o, n, fixed)
  local heads, widths = {}, {}
  for i, stem in ipairs(attentions(n)) do
    local h, width, memory = heads_of(p, stem)
    o.num_mem_kv = memory
    if not h then
      h = given_heads(p, o, i, n, width, stem, fixed)
      width = h and width // h
    end
    heads[i], widths[i] = h, width
    if i <= n then o.full_attn[i] = is_full(p, stem) end
  end
  o.attn_heads, o.attn_dim_head = heads, widths
end

local function read_levels(p, o)
  local n = p:parts "downs"
  for i = 0, n - 1 do
    local conv, shrink = ("downs.%d.3.weight"):format(i), ("downs.%d.3.1.weight"):format(i)
    if not (p:shape(conv) or p:shape(shrink)) then p:refuse "it is of a version before 0.22, which has other levels" end
    o.dim_mults[i + 1] = p:size(p:shape(conv) and conv or shrink, 1) // o.dim
  end
  local first = p:shape "downs.0.3.weight"
  o.downsample = n > 1 and first and first[4] == 4 and "conv" or "unshuffle"
  return n
end

-- Channels of images, from those of the first and the last convolution: C or 2 C each.
local function read_channels(p, o)
  local inp, out = p:size("init_conv.weight", 2), p:size("final_conv.weight", 1)
  local image = p:image((inp ~= out or inp % 2 == 1) and math.min(inp, out) or nil)
  local C = image and image[3]
  if image and not C then
    p:refuse("it has %d channels in and out: image = {H, W, C} tells how many an image has", inp)
  end
  if image and not ((inp == C or inp == 2 * C) and (out == C or out == 2 * C)) then
    p:refuse("images of %d channels don't fit %d channels in and %d out", C, inp, out)
  end
  o.image, o.self_condition, o.outputs = image, C and inp == 2 * C, C and out // C
end

local function read_norms(p, o, how)
  o.norm = p:shape "mid_block1.block1.norm.weight" and "group" or "rms"
  if o.norm == "rms" then return end
  o.resnet_block_groups = p:ask "groups"
  if not how then return end
  o.standard_conv, o.divide_values, o.cosine_attn = how.standard_conv, how.divide_values, how.cosine_attn
  o.attn_norm = how.attn_norm
end

-- Networks of version 2 differ from older ones by their norms.
local function version_of(p)
  local found = p.outer.facts.version
  local new = not p:shape "mid_block1.block1.norm.weight"
  local version = p:ask("version", found or new and "2.0" or nil)
  if version == nil then return nil end
  return number_of(version) or p:refuse("version '%s' isn't one, as \"1.4.2\"", version)
end

local function options_of(p)
  local o = { dim = math.max(1, p:size("time_mlp.1.weight", 1) // 4), init_dim = p:size("init_conv.weight", 1),
    dim_mults = {}, full_attn = {} }
  o.learned_sinusoidal_cond = p:shape "time_mlp.0.weights" ~= nil
  o.learned_sinusoidal_dim = o.learned_sinusoidal_cond and 2 * p:size("time_mlp.0.weights", 1) or nil
  o.classes = p:shape "classes_emb.weight" and p:size("classes_emb.weight", 1) or 0
  local version = version_of(p)
  local how = version and computes(version)
  local n = read_levels(p, o)
  read_channels(p, o)
  read_norms(p, o, how)
  read_heads(p, o, n, how and how.fixed_heads)
  return o
end

-- ==== the process ========================================================================

-- The target by the weights of the loss, which follow from it and the SNR. Before 1.6 they don't.
local function target_of(weight, alpha_bar)
  for i, a in ipairs(alpha_bar) do
    local snr = a / (1 - a)
    if snr < 2 and snr > 0.5 then
      for target, w in pairs { eps = 1, x0 = snr, v = snr / (snr + 1) } do
        if math.abs(weight[i] - w) < 1e-3 * w and not (target == "eps" and math.abs(snr - 1) < 0.1) then
          return target
        end
      end
    end
  end
end

local function buffers(p)
  local betas, alpha_bar, weight = p.outer.get "betas", p.outer.get "alphas_cumprod", p.outer.get "loss_weight"
  if not betas then return nil end
  local found, message = fail.try(schedule.from_beta, betas:flatten():totable(), { name = "betas of the file" })
  if not found then p:refuse("its betas make no schedule: %s", message) end
  if not (weight and alpha_bar) or weight:numel() ~= alpha_bar:numel() then return found end
  return found, target_of(weight:flatten():totable(), alpha_bar:flatten():totable())
end

-- ==== tensors ============================================================================

-- The first convolution reads x0 behind x here, and the row for no class is the table's last.
local function tensors_of(p, o)
  local out = {}
  for key, x in pairs(p.tensors) do
    local own = key
    if key:find "mem_kv$" then x = x:reshape(2 * p:size(key, 2), p:size(key, 3), p:size(key, 4))
    elseif key:find "^downs%.%d+%.3%.1%.weight$" then -- its channels are those of 2x2 pixels
      x = x:reshape(p:size(key, 1), p:size(key, 2) // 4, 2, 2)
    elseif key == "init_conv.weight" and o.self_condition then
      local C = o.image[3]
      x = core.ops.cat({ x:narrow(2, C + 1, C), x:narrow(2, 1, C) }, 2)
    elseif key == "classes_emb.weight" then
      local width = p:size("null_classes_emb", 1)
      own, x = "class.rows.weight", core.ops.cat({ x, p.tensors.null_classes_emb:reshape(1, width) }, 1)
    end
    if key ~= "null_classes_emb" then out[own] = x end
  end
  return out
end

-- The denoiser of a network whose time is ln of the SNR.
local function of_log_snr(net, one)
  return trained.wrap(function(x, t, given) return net(x, one.schedule:log_snr(t), given) end, net)
end

-- ElucidatedDiffusion has the preconditioning of EDM, and its network under `net`.
local function elucidated(p)
  local sigma_data = p:ask "sigma_data"
  return function()
    return p.o.process or process { schedule = schedule.edm {}, predict = "edm", sigma_data = sigma_data }
  end, function(net, one) return precondition.scaled(net, one, "edm") end
end

-- Networks with trained waves read timesteps, or a continuous time.
local function time_of(p, o, found)
  if found or not o.learned_sinusoidal_cond then return "t" end
  return p:ask("time", p.outer.prefix:find "%f[%w]net%.$" and "c_noise" or nil)
end

--- Reads a network of the library.
---@param p table a plan
---@return table {options, tensors = function, process = function, adapt}
function lucidrains.read(p)
  local o = options_of(p)
  local found, target = buffers(p)
  local time = time_of(p, o, found)
  local out = { options = o, tensors = function() return tensors_of(p, o) end }
  if time == "c_noise" then
    out.kind = "edm"
    out.process, out.adapt = elucidated(p)
  else
    out.process = p:process { schedule = found, predict = target, clip = 1,
      variance = o.outputs == 2 and "learned_range" or "fixed_small" }
    out.adapt = time == "log_snr" and of_log_snr or nil
  end
  o.time_offset = time == "t" and 1 or 0
  return out
end

return lucidrains
