--- Recording and gradients: d.record, d.grad, d.no_grad, d.scope, custom ops, d.gradcheck.
-- The tape itself is in C (csrc/ops/tape.h), and this file is its interface in Lua. Each function
-- opens a record with <close>, so an error inside leaves nothing open.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local deal = require "diffusion.over.deal"
local pieces = require "diffusion.over.pieces"

local gradient = {}

local function check_callable(name, fn)
  if not kind.callable(fn) then fail.raise("%s: a function expected, got %s", name, kind.of(fn)) end
end

--- Records the computation of `fn` from trainable parameters, so that `loss:backward()` can compute
--- gradients. It is called like pcall, with a function and its arguments. All coroutines share one
--- stack of records and scopes. So a coroutine that yields within `fn` must be resumed, or closed,
--- before others compute. If a batch is dealt out over ranks, `fn` runs once for each piece of it. An objective
--- may run once for all of them, with the same bits (d.help "scale").
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local loss = d.record(function(x) return model(x, 1):square():mean() end, d.randn(8, 2))
--- loss:backward()
--- for name, p in model:parameters() do print(name, p.grad:norm():item()) end
function gradient.record(fn, ...)
  check_callable("record", fn)
  if deal.now and not core.recording() then return pieces.record(fn, ...) end
  local record <close> = fail.call(core.record_open, "leaves") -- luacheck: ignore 211
  return fn(...)
end

--- For functions that read numbers out of x. It raises if x is being recorded, since the numbers would
--- silently be constants.
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
  local record <close> = fail.call(core.record_open, "off") -- luacheck: ignore 211
  return fn(...)
end

local function is_float(x)
  return core.is_tensor(x) and x:dtype() ~= "i64" and x:dtype() ~= "u8"
end

-- The gradients of the tensors among `inputs` after a backward pass, in order.
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

--- The gradient of the first result of `fn` (one element) with respect to each float tensor among
--- its arguments. Parameters are constants: `p.grad` isn't changed. As with d.record, a coroutine
--- that yields within `fn` must be resumed, or closed, before others compute.
---
--- Some functions have points without a derivative. It is 0 there for norm, std, abs, relu and l1
--- at 0, and for rows of softmax and similar functions that are all -inf. Ties in max, min, maximum
--- and minimum share the gradient. Clamp passes gradients on at its bounds. sqrt, log and powers
--- below 1 give inf at 0.
---@param fn function
---@param ... any its arguments
---@return any ... one gradient for each float tensor, then what fn returned, detached
---@usage print(d.grad(function(x) return (x * x):sum() end, d.tensor{ 1, 2, 3 })) -- 2x, then the value
function gradient.grad(fn, ...)
  check_callable("grad", fn)
  local record <close> = fail.call(core.record_open, "inputs")
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
  record:free() -- its memory is free now, before the collector runs
  return table.unpack(out, 1, k + results.n)
end

--- A scope as a value: `local guard <close> = gradient.guard()`. `guard:keep(...)` names values
--- that outlive it.
gradient.guard = core.scope_open

--- Runs `fn` and frees every tensor made inside, except its results (tensors returned directly).
--- The memory is free at once, before the collector runs. All coroutines share one stack of records
--- and scopes. So a coroutine that yields within `fn` must be resumed, or closed, before others
--- compute.
---@param fn function
---@param ... any its arguments
---@return any ... what fn returns
---@usage print(d.scope(function(x) return (x * x + 1):sum() end, d.ones(3)):item())
function gradient.scope(fn, ...)
  check_callable("scope", fn)
  local guard <close> = core.scope_open()
  return guard:keep(fn(...))
end

--- A custom op. `forward(...)` returns a tensor, and optionally any value that `backward` needs.
--- `backward(dy, kept, ...)` gets the gradient of the result, that value, and the arguments. It
--- returns a gradient or nil for each argument, and may write to dy. The value and the arguments
--- must not be changed between the two calls.
---@param forward function
---@param backward function
---@return function
function gradient.guest(forward, backward)
  check_callable("nn.guest", forward)
  check_callable("nn.guest", backward)
  return function(...)
    local y, kept = gradient.no_grad(forward, ...)
    if not core.is_tensor(y) then
      fail.raise("nn.guest: forward returned a %s, not a tensor", kind.of(y))
    end
    return fail.call(core.note_guest, y, false, backward, kept, ...)
  end
end

-- The random counters as they are now, restored when the value closes.
local Counters = {}
Counters.__index = Counters
function Counters.kept()
  return setmetatable({ state = core.random_state(), first = core.first_sample() }, Counters)
end
function Counters.__close(counters)
  core.set_random_state(counters.state)
  core.first_sample(counters.first)
end

--- The random counters as a value: `local now <close> = gradient.counters()` restores them at its end.
---@return any
gradient.counters = Counters.kept

-- The backward of a recomputed function: runs it again, recorded, and computes gradients from that.
local function walk_again(dy, kept, ...)
  local now <close> = Counters.kept() -- luacheck: ignore 211
  core.set_random_state(kept.random)
  core.first_sample(kept.first)
  local record <close> = fail.call(core.record_open, kept.recording)
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

--- Calls `fn`, a function of tensors to one tensor, without saving its intermediate values. They
--- are recomputed in the backward pass, with the same random numbers. This saves memory and costs
--- time.
---@param fn function
---@return function
function gradient.recompute(fn)
  check_callable("nn.recompute", fn)
  return function(...)
    local recording = core.recording()
    if not recording then return fn(...) end
    local kept = { fn = fn, recording = recording, random = core.random_state(),
                   first = core.first_sample() }
    local y = gradient.no_grad(fn, ...)
    return core.note_guest(y, true, walk_again, kept, ...)
  end
end

-- d(sum of fn's result)/dx by central differences, for each element in order.
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

-- By the type that the core computes in.
local STEP <const>, TOLERANCE <const> = { f64 = 1e-5, f32 = 1e-2 }, { f64 = 1e-6, f32 = 1e-2 }
local function of_both(values) return legible.format("%g in double, else %g", values.f64, values.f32) end
local gradcheck_rules = opts.declare("gradcheck", {
  step = { "number", above = 0, default = STEP[core.real], default_text = of_both(STEP),
    text = "step of the differences, times max(1, |x|)" },
  tolerance = { "number", min = 0, default = TOLERANCE[core.real], default_text = of_both(TOLERANCE),
    text = "largest difference that passes" },
})

--- Compares the gradient of the sum of `fn(...)` with central differences.
---@param fn function (inputs...) -> tensor
---@param inputs table list of tensors; other values are passed on
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
