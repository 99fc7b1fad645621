--- Do both sides compute the same? Parameters, FLOPs, outputs, gradients.
local settings = require "settings"

local agree = { failed = false }

-- How far outputs and gradients may be from the peer's float32, relative to a tensor's
-- largest. A product errs by 2e-6, 1e-5 and 1e-2; a network is some tens of them deep.
local of_op = { highest = { 2e-5, 2e-5 }, high = { 3e-5, 3e-5 }, medium = { 2e-2, 2e-2 } }
local of_network = { highest = { 2e-4, 1e-3 }, high = { 2e-4, 2e-3 }, medium = { 5e-2, 2e-1 } }

local function complain(...)
  print("  DISAGREE: " .. string.format(...))
  agree.failed = true
end

local function check_facts(ours, peer)
  print(("  %.2f M parameters, %.2f GFLOP a forward"):format(ours.parameters / 1e6, ours.flops / 1e9))
  if ours.parameters ~= peer.parameters then
    complain("%s parameters here, %s there", ours.parameters, peer.parameters)
  end
  if math.abs(ours.flops / peer.flops - 1) > 0.01 then
    complain("%.4g FLOP here, %.4g there", ours.flops, peer.flops)
  end
end

-- Prints the operations of an op that is counted: the forward of a convolution or
-- attention.
local function print_flops(w)
  local flops = w.op == "conv" and 2 * w.n * w.h * w.h * w.c * w.k * w.r * w.r
    or w.op == "attention" and 4 * w.n * w.heads * w.tokens * w.keys * w.width
  if flops then print(("  %.2f GFLOP a forward"):format(flops / 1e9)) end
end

local function check_answers(w, answer)
  local outputs, gradients = tonumber(answer.outputs), tonumber(answer.gradients)
  local may = (w.task == "op" and of_op or of_network)[w.precision]
  print(("  outputs differ by %.1e, gradients by %.1e"):format(outputs, gradients)
    .. (answer.own_outputs and ("; PyTorch's own by %.1e and %.1e"):format(answer.own_outputs,
      answer.own_gradients) or ""))
  if not (outputs <= may[1] and gradients <= may[2]) then
    complain("more than %.0e and %.0e", may[1], may[2])
  end
end

--- Prints what both say, and sets agree.failed where they differ. Random numbers and what
-- else passes over memory are held against theory in the specs.
function agree.check(w, ours, peer)
  if w.task == "pass" then return end
  local path = settings.folder .. "/answers.safetensors"
  if w.net then
    ours:send "facts"
    peer:send "facts"
    check_facts(ours:answer(), peer:answer())
  else
    print_flops(w)
  end
  ours:ask("export " .. path)
  check_answers(w, peer:ask("compare " .. path))
  os.remove(path)
end

return agree
