--- d.unet composed in Lua from the same layers under the same names, to measure its cost
-- compared with the wiring in C.
local d = require "diffusion"
local nn = d.nn

local AttentionBlock = nn.module("attention_block", function(m, width)
  m.norm = nn.group_norm(width)
  m.attention = nn.attention(width, { init = "zero" })
  function m:forward(x) return x + self.attention(self.norm(x)) end
end)

-- Residual blocks of one size, attention behind each where the level has it.
local Level = nn.module("level", function(m, o, inputs, out, attends)
  m.block = nn.list(#inputs, function(i)
    return nn.res_block(inputs[i], out, { embed = 4 * o.channels, dropout = o.dropout })
  end)
  if attends then m.attention = nn.list(#inputs, function() return AttentionBlock(out) end) end
  function m:step(i, h, e)
    h = self.block[i](h, e)
    return attends and self.attention[i](h) or h
  end
end)

local function contains(list, value)
  for _, v in ipairs(list) do if v == value then return true end end
  return false
end

-- The channels that come in at each block, down and up: {inputs of a level} by level.
local function channels_of(o)
  local now, kept, down, up = o.channels, { o.channels }, {}, {}
  for i, mult in ipairs(o.mult) do
    down[i] = {}
    for b = 1, o.blocks do
      down[i][b] = now
      now = o.channels * mult
      kept[#kept + 1] = now
    end
    if i < #o.mult then kept[#kept + 1] = now end
  end
  for i = #o.mult, 1, -1 do
    up[i] = {}
    for b = 1, o.blocks + 1 do
      up[i][b] = now + table.remove(kept)
      now = o.channels * o.mult[i]
    end
  end
  return down, up
end

local Middle = nn.module("middle", function(m, width, options)
  m.one = nn.res_block(width, width, options)
  m.attention = AttentionBlock(width)
  m.two = nn.res_block(width, width, options)
  function m:forward(h, e) return self.two(self.attention(self.one(h, e)), e) end
end)

local UNet = nn.module("unet", function(m, o)
  local down, up = channels_of(o)
  local function level(inputs, i)
    return Level(o, inputs[i], o.channels * o.mult[i], contains(o.attention, 2 ^ (i - 1)))
  end
  m.time = nn.time_embed(o.channels, 4 * o.channels, { classes = o.classes })
  m.inp = nn.conv(o.image[3], o.channels, { kernel = 3 })
  m.down = nn.list(#o.mult, function(i)
    local l = level(down, i)
    if i < #o.mult then l.shrink = nn.downsample(o.channels * o.mult[i]) end
    return l
  end)
  m.mid = Middle(o.channels * o.mult[#o.mult], { embed = 4 * o.channels, dropout = o.dropout })
  m.up = nn.list(#o.mult, function(i)
    local l = level(up, i)
    if i > 1 then l.grow = nn.upsample(o.channels * o.mult[i]) end
    return l
  end)
  m.out = nn.norm_conv(o.channels * o.mult[1], o.image[3], { kernel = 3, init = "zero" })

  function m:descend(h, e, kept)
    for i, l in ipairs(self.down) do
      for b = 1, o.blocks do
        h = l:step(b, h, e)
        kept[#kept + 1] = h
      end
      if i < #o.mult then
        h = l.shrink(h)
        kept[#kept + 1] = h
      end
    end
    return h
  end

  function m:forward(x, t, given)
    local e, h = self.time(t, given and given.class), self.inp(x)
    local kept = { h }
    h = self.mid(self:descend(h, e, kept), e)
    for i = #o.mult, 1, -1 do
      local l = self.up[i]
      for b = 1, o.blocks + 1 do h = l:step(b, d.cat({ h, table.remove(kept) }, 4), e) end
      if i > 1 then h = l.grow(h) end
    end
    return self.out(h)
  end
end)

--- The model of the options of d.unet.
return function(o) return nn.model(UNet(o)) end
