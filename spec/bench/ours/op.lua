--- One op of the core. It runs forward, or forward and backward to all of its inputs.
local d = require "diffusion"
local core = require "diffusion.core"

-- The inputs of each op, and its call: makers of {inputs}, function.
local ops = {}

function ops.conv(w)
  local pad = (w.r - 1) // 2
  local scale = 1 / math.sqrt(w.r * w.r * w.c)
  return { d.randn(w.n, w.h, w.h, w.c), d.randn(w.k, w.r, w.r, w.c) * scale, d.randn(w.k) },
    function(x, weight, bias) return x:conv2d(weight, bias, { pad = pad }) end
end

function ops.norm(w)
  return { d.randn(w.n, w.h, w.h, w.c), d.randn(w.c), d.randn(w.c) },
    function(x, weight, bias) return x:group_norm(weight, bias, { groups = 32, silu = true }) end
end

function ops.attention(w)
  local function tokens(count) return d.randn(w.n, count, w.heads * w.width) end
  return { tokens(w.tokens), tokens(w.keys), tokens(w.keys) },
    function(q, k, v) return q:attention(k, v, { heads = w.heads }) end
end

-- Forward, the weights are frozen: their packs are kept.
function ops.linear(w)
  return { d.randn(w.rows, w.c), d.randn(w.k, w.c) / math.sqrt(w.c), d.randn(w.k) }, core.ops.linear
end

-- The gradients of the inputs, where that of the result is `probe`.
local function gradients_of(op, inputs, probe)
  local record <close> = core.record_open "inputs"
  local wanted, out = {}, {}
  for i, x in ipairs(inputs) do wanted[i] = record:want(x) end
  local y = op(table.unpack(wanted))
  record:close()
  y:backward(nil, probe)
  for i, x in ipairs(wanted) do out[i] = record:gradient(x) end
  record:free()
  return out
end

return function(w)
  local sizes = { "n", "c", "k", "h", "r", "rows", "tokens", "keys", "heads", "width" }
  for _, key in ipairs(sizes) do w[key] = math.tointeger(w[key]) end
  local inputs, op = ops[w.op](w)
  local out = op(table.unpack(inputs))
  local probe = d.randn(out:shape())
  local task = {}

  local function forward() op(table.unpack(inputs)) end
  local function both() return gradients_of(op, inputs, probe) end

  local function nothing_kept(f)
    return function()
      d.scope(function() f() end)
    end
  end

  task.step = nothing_kept(w.direction == "forward" and forward or both)

  function task.answers()
    local answers, gradients = { probe = probe, out = out }, both()
    for i, x in ipairs(inputs) do
      answers["input." .. i], answers["gradient." .. i] = x, gradients[i]
    end
    return answers
  end
  return task
end
