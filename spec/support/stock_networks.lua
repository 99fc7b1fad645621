-- The stock networks whose names, first values and outputs must never change, and the numbers
-- that stand for them in spec/fixtures/stock_networks.lua.
local networks = {}

networks.list = {
  { "mlp", { dim = 2, hidden = 16, depth = 2 } },
  { "mlp", { dim = 3, hidden = 16, depth = 1, classes = 4, outputs = 2, self_condition = true } },
  { "unet", { image = { 8, 8, 1 }, channels = 16, mult = { 1, 2 }, blocks = 1, attention = { 2 }, classes = 10 } },
  { "unet", { image = { 8, 8, 3 }, channels = 8, mult = { 1, 2, 2 }, blocks = 2, attention = { 1, 4 }, heads = 2,
    outputs = 2, self_condition = true, dropout = 0.1, groups = 4 } },
  { "dit", { image = { 8, 8, 1 }, width = 32, depth = 2, classes = 10 } },
  { "dit", { image = { 8, 8, 3 }, width = 32, depth = 1, heads = 2, patch = 4, ratio = 2, outputs = 2,
    self_condition = true, dropout = 0.1 } },
}

--- A tensor as one number: the sum of its values times cos(i), in double.
function networks.mark(_, x)
  local total, i = 0, 0
  for _, value in ipairs(x:clone():flatten():totable()) do
    i = i + 1
    total = total + value * math.cos(i)
  end
  return total
end

--- The model of an entry, and its output on fixed inputs. Parameters that start at zero are moved
--- before the output is computed, so that every part has a say in it.
function networks.run(d, entry)
  d.manual_seed(11)
  local o = entry[2]
  local model = d[entry[1]](o)
  local shape = o.dim and { 3, o.dim } or { 3, table.unpack(o.image) }
  local twin = d[entry[1]](o)
  for _, p in twin:parameters() do p:add_(d.arange(1, p:numel()):to "f32":sin():reshape(p:shape()) * 0.1) end
  local x = d.arange(1, d.zeros(shape):numel()):to "f32":cos():reshape(shape)
  local given = { class = o.classes and { 1, 0, 3 } or nil, x0 = o.self_condition and x * 0.5 or nil }
  return model, twin(x, { 3, 500, 999 }, given)
end

return networks
