-- Skip blocks of diffusers' UNets, those of NCSN++ (Song et al. 2021). The image itself is halved and added at
-- each level, and summed up again on the way up.
local blocks = require "diffusion.nn.blocks2d"
local levels = require "diffusion.nn.levels2d"

local skip_blocks = {}

local ROOT = math.sqrt(2)

local function quarter(width) return levels.groups(false, width) end

local function skip_resample(way, b, part, h, how)
  return way:resnet(b.name .. "." .. part, h, { out = b.out, groups = quarter(b.out), rescale = ROOT, resample = how,
    shortcut = true })
end

local function check_sample(way, b)
  if way.sample_level ~= way.level then
    way:refuse("%s of %s: the picture that Skip blocks carry has %s, but here is %s; these types of blocks don't fit "
      .. "together", b.name, b.type, levels.size_text(way.sample_level), levels.size_text(way.level))
  end
end

local function attention(way, b, path, h)
  return way:attention(path, h, { groups = 32, rescale = ROOT, head_dim = b.head_dim })
end

local function skip_down(attends)
  return function(way, b, h)
    for j = 0, b.layers - 1 do
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = quarter(h.width),
        groups_out = quarter(b.out), rescale = ROOT })
      if attends then h = attention(way, b, ("%s.attentions.%d"):format(b.name, j), h) end
      way:keep(h)
    end
    if b.last then return h end
    if way.o.in_channels ~= 3 then
      way:refuse("%s of %s: it needs in_channels = 3, got %d", b.name, b.type, way.o.in_channels)
    end
    check_sample(way, b)
    h = skip_resample(way, b, "resnet_down", h, "fir_shrink")
    way.sample = blocks.resample(way.net, "fir_shrink", way.sample)
    way.level, way.sample_level = way.level + 1, way.sample_level + 1
    return way:keep(way.net:conv(b.name .. ".skip.conv", { way.sample, h },
      { inp = 3, out = b.out, kernel = 1, pad = 0 }))
  end
end

-- The picture enlarged, plus three channels made of h.
local function add_picture(way, b, h)
  if way.sample then check_sample(way, b) end
  way.sample = way.net:norm_conv(b.name .. ".skip", { h, way.sample or false }, { inp = h.width, out = 3,
    groups = quarter(h.width), epsilon = way.o.norm_eps })
  way.sample_level = way.level
end

local function skip_up(attends)
  return function(way, b, h)
    local n = b.layers
    local skips = way:last(n + 1)
    for j = 0, n do
      local own, skip = levels.widths_up(b, j, n)
      h = way:joined(b, h, table.remove(skips), own + skip)
      -- the peer's AttnSkipUpBlock2D divides one of the two widths only
      local groups = attends and math.min(own + skip // 4, 32) or quarter(h.width)
      h = way:resnet(("%s.resnets.%d"):format(b.name, j), h, { out = b.out, groups = groups,
        groups_out = quarter(b.out), rescale = ROOT })
    end
    if attends then h = attention(way, b, b.name .. ".attentions.0", h) end
    if way.sample then
      way.sample, way.sample_level = blocks.resample(way.net, "fir_enlarge", way.sample), way.sample_level - 1
    end
    if b.last then return h end
    add_picture(way, b, h)
    h = skip_resample(way, b, "resnet_up", h, "fir_enlarge")
    way.level = way.level - 1
    return h
  end
end

skip_blocks.down_types = { SkipDownBlock2D = skip_down(false), AttnSkipDownBlock2D = skip_down(true) }
skip_blocks.up_types = { SkipUpBlock2D = skip_up(false), AttnSkipUpBlock2D = skip_up(true) }

--- The picture that is added to the result of a way, false if there is none.
---@param way table
---@return diffusion.value|false
function skip_blocks.picture(way)
  if not way.sample then return false end
  if way.sample_level ~= 0 then
    way:refuse("up_block_types: the picture of the Skip blocks has %s at the end; the last block must be one of them",
      levels.size_text(way.sample_level))
  end
  if way.o.out_channels ~= 3 then
    way:refuse("up_block_types: Skip blocks need out_channels = 3, got %d", way.o.out_channels)
  end
  return way.sample
end

return skip_blocks
