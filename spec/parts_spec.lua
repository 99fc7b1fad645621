-- Gradients of a record of several parts of a batch. A parameter's gradient is the sum of those that the parts have
-- alone, to the bit. They are added in a binary tree. Ops that can't tell the parts apart are found.
local d = require "diffusion"
local core = require "diffusion.core"
local products = dofile "spec/support/products.lua"

local B <const> = 8

-- The gradients. A step of 0 ends them.
local function take_grads(model)
  local out = {}
  for name, p in model:parameters() do out[name] = p.grad and p.grad:clone() end
  d.adamw(model, { lr = 0 }):step()
  return out
end

-- Gradients of a model in one record of so many parts, and whether they are mixed. loss_of(first, rows) is the loss of
-- these rows.
local function together(model, parts, run)
  local record <close> = core.record_open "leaves"
  record:part(parts, B)
  local y, list = run(1, B), {}
  for k = 1, parts do list[k] = y:narrow(1, (k - 1) * B // parts + 1, B // parts):square():mean():view { 1 } end
  local losses = core.ops.cat(list, 1)
  if record:is_mixed() then return nil end
  losses:backward(nil, core.ones(parts))
  return take_grads(model)
end

local function in_tree(list)
  while #list > 1 do
    local sums = {}
    for i = 1, #list, 2 do sums[#sums + 1] = list[i] + list[i + 1] end
    list = sums
  end
  return list[1]
end

-- The same from each part alone.
local function apart(model, parts, run)
  local of, rows = {}, B // parts
  for k = 1, parts do
    d.record(function() return run((k - 1) * rows + 1, rows):square():mean() end):backward()
    for name, g in pairs(take_grads(model)) do
      of[name] = of[name] or {}
      of[name][k] = g
    end
  end
  for name, list in pairs(of) do of[name] = in_tree(list) end
  return of
end

local function scattered(model)
  for _, p in model:parameters() do p:copy_(p:detach() + d.randn(p:shape(), { seed = 3 }) * 0.05) end
  return model
end

local function runner(model, image, classes)
  local x = d.randn({ B, table.unpack(image) }, { seed = 1 })
  local t, class = d.randint(1, 1000, { B }, { seed = 2 }), d.randint(1, 5, { B }, { seed = 4 })
  return function(first, rows)
    return model(x:narrow(1, first, rows), t:narrow(1, first, rows),
      { class = classes and class:narrow(1, first, rows) or nil })
  end
end

local image = { 16, 16, 3 }
local networks = {
  unet = { image, function()
    return d.unet { image = image, channels = 32, mult = { 1, 2, 2 }, blocks = 1, attention = { 2, 4 }, heads = 2,
                    classes = 5 }
  end },
  dit = { image, function()
    return d.dit { image = image, patch = 2, width = 64, depth = 2, heads = 4, classes = 5 }
  end },
  layers = { { 300, 16 }, function() -- norms of more than one span a part
    return d.network { inputs = { { "x", shape = { "B", "T", 16 } }, "t", "class" },
      build = function(net)
        local h = net:layer_norm("one", net:linear("in", net.x, { out = 32 }))
        return net:rms_norm("two", net:add { h, net:linear("mid", net:silu(h), { out = 32 }) })
      end }
  end },
  mlp = { { 3 }, function() return d.mlp { dim = 3, hidden = 64, depth = 2, classes = 5 } end },
}

describe("a record of parts", function()
  for _, name in ipairs { "unet", "dit", "mlp", "layers" } do
    for _, precision in ipairs { "high", "medium" } do
      it("gives the sums of the parts' own gradients, " .. name .. ", " .. precision, function()
        local before = d.precision()
        d.precision(precision)
        local model = scattered(networks[name][2]())
        local run = runner(model, networks[name][1], true)
        for _, parts in ipairs { 2, 4, 8 } do
          local want, found = apart(model, parts, run), assert(together(model, parts, run), "mixed")
          for key, g in pairs(want) do
            assert(g:equal(found[key]), ("%s, %d parts"):format(key, parts))
            assert(g:abs():max():item() > 0, key)
          end
        end
        d.precision(before)
      end)
    end
  end

  -- One layer: { kind, shape of x without the batch, outputs, options }. Parts of 1, 2 and 4 of 8 images.
  local layers = {
    ["a block, full panels"] = { "conv", { 8, 8, 64 }, 96, {} },
    ["a block, channels left over"] = { "conv", { 6, 5, 40 }, 33, {} },
    ["many rows of weights"] = { "conv", { 4, 4, 32 }, 320, {} },
    ["several blocks"] = { "conv", { 20, 20, 32 }, 64, {} },
    ["several blocks and folds"] = { "conv", { 40, 36, 32 }, 40, {} },
    ["a stride"] = { "conv", { 9, 8, 64 }, 32, { kernel = 2, stride = 2, pad = 0 } },
    ["a stride, several blocks"] = { "conv", { 52, 48, 32 }, 32, { stride = 2 } },
    ["pixels"] = { "conv", { 12, 12, 64 }, 160, { kernel = 1, pad = 0 } },
    ["few rows"] = { "linear", {}, 160, {}, 64 },
    ["rows of several blocks"] = { "linear", { 300 }, 72, {}, 96 },
  }

  local function layer_of(l)
    local shape = { "B", table.unpack(l[2]) }
    if l[5] then shape[#shape + 1] = l[5] end
    return scattered(d.network { inputs = { { "x", shape = shape } }, build = function(net)
      local o = { out = l[3], kernel = l[1] == "conv" and 3 or nil, pad = l[1] == "conv" and 1 or nil }
      for key, value in pairs(l[4]) do o[key] = value end
      return net[l[1]](net, "layer", net.x, o)
    end })
  end

  for name, l in pairs(layers) do
    it("sums parts of a layer: " .. name, function()
      local model, shape = layer_of(l), { B, table.unpack(l[2]) }
      if l[5] then shape[#shape + 1] = l[5] end
      local x = d.randn(shape, { seed = 1 })
      local function run(first, rows) return model(x:narrow(1, first, rows)) end
      products.at_each_setting({ 1, 2, 3, 5 }, function(precision, n)
        for _, parts in ipairs { 2, 8 } do
          local want, found = apart(model, parts, run), assert(together(model, parts, run), "mixed")
          for key, g in pairs(want) do
            assert(g:equal(found[key]), ("%s, %s, %d parts, %d threads"):format(key, precision, parts, n))
          end
        end
      end)
    end)
  end

  local function is_mixed(model, run) return together(model, 4, run) == nil end

  it("is mixed if a parameter is used twice, or by an op that doesn't know parts", function()
    local nn = d.nn
    local x = d.randn(B, 4)
    local function stack(one, two) return nn.model(nn.sequence(one, nn.silu, two or nn.linear(4, 4))) end
    local once = stack(nn.linear(4, 4))
    local _, weight = once:parameters()()
    assert.is_false(is_mixed(once, function() return once(x) end))
    assert.is_true(is_mixed(once, function() return once(once(x)) end))
    assert.is_true(is_mixed(once, function() return once(x) * weight:sum(1) end))
    assert.is_true(is_mixed(once, function() return x:linear(weight * 2) end))
    assert.is_true(is_mixed(once, function() return once(x:narrow(1, 1, 1)):expand { B, 4 } end)) -- one row for all
    local shared = nn.linear(4, 4)
    local twice, again = stack(shared, shared), stack(nn.recompute(nn.linear(4, 4)))
    assert.is_true(is_mixed(twice, function() return twice(x) end))
    assert.is_true(is_mixed(again, function() return again(x) end))
    local table_of_places = d.network { inputs = { { "x", shape = { "N", B, 4 } } },
      build = function(net) return net:positions("table", net.x, { rows = B }) end }
    local one = x:view { 1, B, 4 }
    assert.is_true(is_mixed(table_of_places, function() return table_of_places(one):view { B, 4 } end))
  end)
end)
