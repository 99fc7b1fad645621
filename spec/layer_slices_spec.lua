-- Numbers that the tests of diffusers publish for its layers and blocks (tests/models, to 5e-3). They come
-- from torch's generator: first the inputs are drawn, then the weights, in the order in which the peer
-- makes its layers.
local d = require "diffusion"
local blocks = require "diffusion.nn.blocks2d"
local core = require "diffusion.core"
local family = require "diffusion.nn.family"
local json = require "diffusion.file.json"
local levels = require "diffusion.nn.levels2d"
local peers = require "diffusion.nn.peers"

local unet2d = family.find "unet2d"
local entry = { class = "layer", names = {} }
for i, pair in ipairs(unet2d.peers.diffusers.names) do entry.names[i] = pair end

local function published()
  local out = {}
  for line in io.lines "spec/fixtures/peers/layer_slices.tsv" do
    local class, test, slice = line:match "^[^\t]*\t([^\t]*)\t([^\t]*)\t(%[.*%])$"
    if class then out[class:gsub("Tests$", "") .. " " .. test] = json.decode(slice) end
  end
  return out
end

-- ==== first values as PyTorch draws them ======================================================

-- The order of a resnet's and an attention's layers.
local RESNET = { "norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut" }
local ATTENTION = { "group_norm", "to_q", "to_k", "to_v", "to_out.0" }

local function fan_in(shape)
  local n = 1
  for i = 2, #shape do n = n * shape[i] end
  return n
end

-- Uniform within 1/sqrt(fan in), for a weight and then its bias. Norms begin at 1 and 0.
local function draw(g, out, shapes, layer)
  local weight = shapes[layer .. ".weight"]
  if not weight then return end
  for _, part in ipairs { ".weight", ".bias" } do
    local shape = shapes[layer .. part]
    if #weight == 1 then out[layer .. part] = d.full(shape, part == ".weight" and 1 or 0)
    else
      local bound = 1 / math.sqrt(fan_in(weight))
      out[layer .. part] = (g:rand(shape) * (2 * bound) - bound):to(core.real)
    end
  end
end

-- `order`: paths of resnets, attentions and single layers.
local function values(g, shapes, order)
  local out = {}
  for _, path in ipairs(order) do
    draw(g, out, shapes, path)
    for _, part in ipairs(RESNET) do draw(g, out, shapes, path .. "." .. part) end
    for _, part in ipairs(ATTENTION) do draw(g, out, shapes, path .. "." .. part) end
  end
  return out
end

-- ==== one layer or block as a network =========================================================

local function image(x) return x:to(core.real):permute(1, 3, 4, 2):contiguous() end

-- The slice of output channel -1 of the first image: its last 3 x 3 pixels.
local function corner(y)
  local shape = y:shape()
  return y:narrow(1, 1, 1):narrow(2, shape[2] - 2, 3):narrow(3, shape[3] - 2, 3):narrow(4, shape[4], 1):flatten()
end

local function close(want, y)
  local got = corner(y)
  for i, value in ipairs(want) do
    assert(math.abs(got[i] - value) < 1e-4, ("number %d is %.4f, not %.4f"):format(i, got[i], value))
  end
end

-- The output of a network on inputs {name, tensor}, with values drawn in this order.
local function run(g, inputs, order, build)
  local names, given = {}, {}
  for i, input in ipairs(inputs) do
    names[i] = { input[1], shape = input[2]:dim() == 4 and { "B", input[1] .. "_H", input[1] .. "_W", input[2]:size(4) }
      or { "B", input[2]:size(2) } }
    if i > 1 then given[input[1]] = input[2] end
  end
  local own = { name = "layer", options = {}, text = function() return "" end, inputs = function() return names end,
    build = build, peers = { diffusers = entry } }
  local state
  local net = family.model(own, {}, { tensors = 1000, find = function(parameters)
    local shapes = {}
    for _, p in ipairs(parameters) do shapes[peers.theirs(entry, p[1])] = peers.shape(p[2]) end
    state = peers.state(entry, parameters, values(g, shapes, order))
    return assert(state)
  end })
  return net(inputs[1][2], next(given) and given or nil)
end

-- ==== blocks ==================================================================================

local OPTIONS = { layers_per_block = 1, norm_num_groups = 32, norm_eps = 1e-6, attention_head_dim = 1, dropout = 0,
  in_channels = 3, out_channels = 3, downsample_padding = 1, downsample_type = "conv", upsample_type = "conv",
  resnet_time_scale_shift = "default", mid_block_scale_factor = 1, add_attention = true }

local function block_inputs(is_up, has_sample)
  local g = d.generator { kind = "torch", seed = 0 }
  local inputs = { { "x", image(g:randn { 4, 32, 32, 32 }) }, { "temb", g:randn({ 4, 128 }):to(core.real) } }
  if is_up then
    g = d.generator { kind = "torch", seed = 1 }
    inputs[3] = { "res", image(g:randn { 4, 32, 32, 32 }) }
  end
  if has_sample then inputs[3] = { "sample", image(g:randn { 4, 3, 32, 32 }) } end
  return g, inputs
end

local function check_block(want, type, order)
  local is_up, is_mid = type:find "Up" ~= nil, type:find "Mid" ~= nil
  local o = {}
  for key, value in pairs(OPTIONS) do o[key] = value end
  if is_up then o.layers_per_block = 0 end
  local has_sample = type:find "Skip" and not is_up
  local g, inputs = block_inputs(is_up, has_sample)
  close(want, run(g, inputs, order, function(net)
    local way = levels.new { name = "layer", net = net, o = o, e = net.temb, act = "silu", types = unet2d.types,
      x = has_sample and net.sample or net.x,
      level_facts = function() return { layers = o.layers_per_block, head_dim = o.attention_head_dim } end }
    if is_mid then return unet2d.middle(way, net.x) end
    if is_up then way:keep(net.res) end
    if is_up then way.sample = nil end
    return way:block(is_up and "up_block_types" or "down_block_types", type, 1,
      { name = "b", out = 32, prev = 32, inp = 32 }, net.x)
  end))
end

-- Each block with the order in which the peer makes its parts.
local ORDER = {
  DownBlock2D = { "b.resnets.0", "b.downsamplers.0.conv" },
  ResnetDownsampleBlock2D = { "b.resnets.0", "b.downsamplers.0" },
  AttnDownBlock2D = { "b.resnets.0", "b.attentions.0", "b.downsamplers.0.conv" },
  SkipDownBlock2D = { "b.resnets.0", "b.resnet_down", "b.skip_conv" },
  AttnSkipDownBlock2D = { "b.resnets.0", "b.attentions.0", "b.resnet_down", "b.skip_conv" },
  UNetMidBlock2D = { "mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1" },
  UpBlock2D = { "b.resnets.0", "b.upsamplers.0.conv" },
  ResnetUpsampleBlock2D = { "b.resnets.0", "b.upsamplers.0" },
  AttnUpBlock2D = { "b.resnets.0", "b.attentions.0", "b.upsamplers.0.conv" },
  SkipUpBlock2D = { "b.resnets.0", "b.resnet_up", "b.skip_conv", "b.skip_norm" },
  AttnSkipUpBlock2D = { "b.resnets.0", "b.attentions.0", "b.resnet_up", "b.skip_conv", "b.skip_norm" },
}

describe("the published numbers of", function()
  local numbers = published()
  for type, order in pairs(ORDER) do
    it(type, function() check_block(assert(numbers[type .. " test_output"]), type, order) end)
  end

  local resnets = { test_resnet_default = {}, test_restnet_with_use_in_shortcut = { shortcut = true },
    test_resnet_up = { resample = "enlarge" }, test_resnet_down = { resample = "shrink" },
    test_restnet_with_kernel_fir = { resample = "fir_shrink" },
    test_restnet_with_kernel_sde_vp = { resample = "shrink" } }
  for test, more in pairs(resnets) do
    it("ResnetBlock2D in " .. test, function()
      local g = d.generator { kind = "torch", seed = 0 }
      local inputs = { { "x", image(g:randn { 1, 32, 64, 64 }) }, { "temb", g:randn({ 1, 128 }):to(core.real) } }
      close(assert(numbers["ResnetBlock2D " .. test]), run(g, inputs, { "r" }, function(net)
        local o = { out = 32, groups = 32, epsilon = 1e-6, act = "silu" }
        for key, value in pairs(more) do o[key] = value end
        return blocks.resnet(net, "r", net.x, net:activation(net.temb, { act = "silu" }), o)
      end))
    end)
  end

  local function size_test(class, test, side, build)
    it(class .. " in " .. test, function()
      local g = d.generator { kind = "torch", seed = 0 }
      local inputs = { { "x", image(g:randn { 1, 32, side, side }) } }
      close(assert(numbers[class .. "Block " .. test]), run(g, inputs, { "c" }, build))
    end)
  end

  size_test("Upsample2D", "test_upsample_default", 32, function(net) return net:enlarge(net.x) end)
  for test, out in pairs { test_upsample_with_conv = 32, test_upsample_with_conv_out_dim = 64 } do
    size_test("Upsample2D", test, 32, function(net) return net:conv("c", net:enlarge(net.x), { out = out }) end)
  end
  size_test("Downsample2D", "test_downsample_default", 64, function(net) return net:avg_pool(net.x) end)
  for test, out in pairs { test_downsample_with_conv = 32, test_downsample_with_conv_pad1 = 32,
    test_downsample_with_conv_out_dim = 16 } do
    size_test("Downsample2D", test, 64, function(net) return net:conv("c", net.x, { out = out, stride = 2 }) end)
  end
end)
