--- Recording and gradients: d.record, d.grad, d.no_grad, d.scope, guests, d.gradcheck.
-- The tape itself is C (csrc/ops/tape.h); this file gives it its Lua words. Each opens a
-- record with <close>, so an error inside leaves nothing open.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"

local gradient = {}

local function check_callable(name, fn)
  if not kind.callable(fn) then fail.raise("%s: a function expected, got %s", name, kind.of(fn)) end
end

--- Records what `fn` computes from trainable parameters, so that `loss:backward()` can
--- walk it. Like pcall: function, arguments. All coroutines share one stack of records and
--- scopes: a coroutine that yields within `fn` must be resumed, or closed, before others compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local loss = d.record(function(x) return model(x, 1):square():mean() end, d.randn(8, 2))
--- loss:backward()
--- for name, p in model:parameters() do print(name, p.grad:norm():item()) end
function gradient.record(fn, ...)
  check_callable("record", fn)
  local record <close> = core.record_open "leaves" -- luacheck: ignore 211
  return fn(...)
end

--- For functions that read numbers out of x: raises where x is being recorded, since the
--- numbers would be constants, unnoticed.
---@param where string the function, for messages
---@param what string
---@param x any anything but a tensor passes
function gradient.constant(where, what, x)
  if core.is_tensor(x) and core.followed(x) then
    fail.raise("%s: %s %s is being recorded, and plain numbers are read out of it, which lose its gradient; "
      .. "detach() it", where, what, kind.shape_text(x))
  end
end

--- Runs `fn` with nothing recorded. As with d.record, a coroutine that yields within `fn` must be
--- resumed, or closed, before others compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
function gradient.no_grad(fn, ...)
  check_callable("no_grad", fn)
  local record <close> = core.record_open "off" -- luacheck: ignore 211
  return fn(...)
end

local function is_float(x)
  return core.is_tensor(x) and x:dtype() ~= "i64" and x:dtype() ~= "u8"
end

-- Gradients of the tensors among `inputs` after a walk, in order.
local function gradients_of(record, inputs, n)
  local out, k = {}, 0
  for i = 1, n do
    if inputs[i] then
      k = k + 1
      out[k] = record:gradient(inputs[i])
    end
  end
  return out, k
end

--- The gradient of the first result of `fn` (one element) with respect to each float
--- tensor among its arguments. Parameters are constants here: `p.grad` isn't touched. As with
--- d.record, a coroutine that yields within `fn` must be resumed, or closed, before others compute.
--- Where a function has no slope: 0 for norm, std, abs, relu and l1 at 0, and for rows that are
--- all -inf in softmax and its kin. Elements that tie in max, min, maximum and minimum share.
--- Clamp passes gradients on at its bounds. sqrt, log and powers below 1 have inf at 0.
---@param fn function
---@param ... any its arguments
---@return any ... one gradient for each float tensor, then what fn returned, detached
---@usage print(d.grad(function(x) return (x * x):sum() end, d.tensor{ 1, 2, 3 })) -- 2x, then the value
function gradient.grad(fn, ...)
  check_callable("grad", fn)
  local record <close> = core.record_open "inputs"
  local wanted, args = {}, table.pack(...)
  for i = 1, args.n do
    if is_float(args[i]) then
      wanted[i] = fail.call(record.want, record, args[i])
      args[i] = wanted[i]
    end
  end
  local results = table.pack(fn(table.unpack(args, 1, args.n)))
  record:close()
  local loss = results[1]
  if not core.is_tensor(loss) then
    fail.raise("grad: the function returned a %s, not a tensor", kind.of(loss))
  end
  if core.is_recorded_by(loss, record) then fail.call(loss.backward, loss) end
  local out, k = gradients_of(record, wanted, args.n)
  for i = 1, results.n do
    local value = results[i]
    out[k + i] = core.is_tensor(value) and record:value(value) or value
  end
  record:free() -- what it holds is free now, not when the collector comes
  return table.unpack(out, 1, k + results.n)
end

--- A scope as a value: `local guard <close> = gradient.guard()`, and `guard:keep(...)`
--- names what outlives it.
gradient.guard = core.scope_open

--- Runs `fn` and lets go of every tensor made inside, but for its results (tensors
--- returned directly): memory is free at once, not when the collector comes. All coroutines
--- share one stack of records and scopes: a coroutine that yields within `fn` must be resumed, or
--- closed, before others compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
---@usage print(d.scope(function(x) return (x * x + 1):sum() end, d.ones(3)):item())
function gradient.scope(fn, ...)
  check_callable("scope", fn)
  local guard <close> = core.scope_open()
  return guard:keep(fn(...))
end

--- An op of your own. `forward(...)` computes a tensor (and, second, anything that
--- `backward` may want to see again); `backward(dy, kept, ...)` gets the gradient of the
--- result, what was kept, and the arguments, and returns a gradient or nil for each
--- argument. dy is its own to write to. What was kept and the arguments must be as `forward`
--- left them.
---@param forward function
---@param backward function
---@return function
function gradient.guest(forward, backward)
  check_callable("nn.guest", forward)
  check_callable("nn.guest", backward)
  return function(...)
    local y, kept = gradient.no_grad(forward, ...)
    if not core.is_tensor(y) then
      fail.raise("guest: forward returned a %s, not a tensor", kind.of(y))
    end
    return fail.call(core.note_guest, y, false, backward, kept, ...)
  end
end

-- The random counters as they are now, put back when the value closes.
local Counters = {}
Counters.__index = Counters
function Counters.kept() return setmetatable({ state = core.random_state() }, Counters) end
function Counters.__close(counters) core.set_random_state(counters.state) end

--- The random counters as a value: `local now <close> = gradient.counters()` puts them back.
---@return any
gradient.counters = Counters.kept

-- The backward of a recomputed function: run it again, recorded, and walk that.
local function walk_again(dy, kept, ...)
  local now <close> = Counters.kept() -- luacheck: ignore 211
  core.set_random_state(kept.random)
  local record <close> = core.record_open(kept.recording)
  local wanted, args = {}, table.pack(...)
  for i = 1, args.n do
    if is_float(args[i]) then
      wanted[i] = record:want(args[i]:detach())
      args[i] = wanted[i]
    end
  end
  local y = kept.fn(table.unpack(args, 1, args.n))
  record:close()
  y:backward(nil, dy)
  local out = {}
  for i = 1, args.n do out[i] = wanted[i] and record:gradient(wanted[i]) end
  return table.unpack(out, 1, args.n)
end

--- `fn` (of tensors, to one tensor) without its inner values kept: they are computed a
--- second time on the way back, with the same random numbers. Memory for time.
---@param fn function
---@return function
function gradient.recompute(fn)
  check_callable("nn.recompute", fn)
  return function(...)
    local recording = core.recording()
    if not recording then return fn(...) end
    local kept = { fn = fn, recording = recording, random = core.random_state() }
    local y = gradient.no_grad(fn, ...)
    return core.note_guest(y, true, walk_again, kept, ...)
  end
end

-- d(sum of fn's result)/dx by central differences, elements in order.
local function by_differences(fn, inputs, which, step)
  local x = inputs[which]
  local flat = x:clone():flatten()
  local function at(i, value)
    local moved = flat:clone()
    moved[i] = value
    local copy = table.move(inputs, 1, #inputs, 1, {})
    copy[which] = moved:reshape(x:shape())
    return (fn(table.unpack(copy))):sum():item()
  end
  local out = {}
  for i = 1, flat:numel() do
    local value = flat[i]
    local h = step * math.max(1, math.abs(value))
    out[i] = (at(i, value + h) - at(i, value - h)) / (2 * h)
  end
  return out
end

local double = core.real == "f64"
local gradcheck_rules = opts.declare("gradcheck", {
  step = { "number", above = 0, default = double and 1e-5 or 1e-2, default_text = "1e-5 in double, else 1e-2",
    text = "step of the differences, times max(1, |x|)" },
  tolerance = { "number", min = 0, default = double and 1e-6 or 1e-2, default_text = "1e-6 in double, else 1e-2",
    text = "largest difference that passes" },
})

--- Holds the gradient of the sum of `fn(...)` against central differences.
---@param fn function of the inputs, to a tensor
---@param inputs table of tensors (others are passed on)
---@param options diffusion.gradcheck_options?
---@return boolean ok
---@return number worst the largest difference, relative to max(1, |gradient|)
function gradient.gradcheck(fn, inputs, options)
  opts.callable("gradcheck", "argument #1", fn)
  opts.table("gradcheck", 2, "a list of inputs", inputs)
  local o = opts.check("gradcheck", options, gradcheck_rules, 3)
  local step, tolerance = o.step, o.tolerance
  local function total(...)
    local y = fn(...)
    if not core.is_tensor(y) then
      fail.raise("gradcheck: the function returned %s; a tensor expected", kind.shown(y))
    end
    return y:sum()
  end
  local found = table.pack(gradient.grad(total, table.unpack(inputs)))
  local worst, k = 0, 0
  for i = 1, #inputs do
    if is_float(inputs[i]) then
      k = k + 1
      local got = found[k]:flatten():totable()
      for j, want in ipairs(by_differences(fn, inputs, i, step)) do
        local gap = math.abs(got[j] - want) / math.max(1, math.abs(want))
        if not (gap <= worst) then worst = gap end
      end
    end
  end
  return worst <= tolerance, worst
end

return gradient
