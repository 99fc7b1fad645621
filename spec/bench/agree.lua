--- Do ours and a peer compute the same? Parameters, FLOPs, outputs, gradients.
local settings = require "settings"

local agree = { failed = false }

-- How far outputs and gradients may be from the peer's float32, relative to a tensor's
-- largest. A product errs by 2e-6, 1e-5 and 1e-2; a network is some tens of them deep.
local of_op = { highest = { 2e-5, 2e-5 }, high = { 3e-5, 3e-5 }, medium = { 2e-2, 2e-2 } }
local of_network = { highest = { 2e-4, 1e-3 }, high = { 2e-4, 2e-3 }, medium = { 5e-2, 2e-1 } }

-- stable-diffusion.cpp rounds the inputs of f16 weights to f16. Its encoded texts are 3e-4 off, and its UNet 1e-3.
local OF_SDCPP = { 5e-3, 5e-3 }

-- OpenVINO answers at medium with its own bf16, which all its values between ops have. Its UNet is 1e-1 off float32.
local OF_OPENVINO_BF16 = { 2e-1, 2e-1 }

local function complain(...)
  print("  DISAGREE: " .. string.format(...))
  agree.failed = true
  return false
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

-- Prints the operations of an op that is counted: the forward of a convolution, of
-- attention or of a linear layer.
local function print_flops(w)
  local flops = w.op == "conv" and 2 * w.n * w.h * w.h * w.c * w.k * w.r * w.r
    or w.op == "attention" and 4 * w.n * w.heads * w.tokens * w.keys * w.width
    or w.op == "linear" and 2 * w.rows * w.c * w.k
  if flops then print(("  %.2f GFLOP a forward"):format(flops / 1e9)) end
end

-- A peer answers how far ours is from PyTorch's float32 and, if it computes otherwise, how far itself is.
local function check_answers(w, answer, name)
  local outputs, gradients = tonumber(answer.outputs), tonumber(answer.gradients)
  local may = (w.task == "op" and of_op or of_network)[w.precision]
  if name == "sdcpp" and w.precision ~= "medium" then may = OF_SDCPP end
  if name == "openvino" and w.task == "sd" and w.precision == "medium" then may = OF_OPENVINO_BF16 end
  print(("  outputs differ by %.1e, gradients by %.1e"):format(outputs, gradients)
    .. (answer.own_outputs and ("; %s's own by %.1e and %.1e"):format(name, answer.own_outputs,
      answer.own_gradients) or ""))
  if not (outputs <= may[1] and gradients <= may[2]) then
    return complain("more than %.0e and %.0e", may[1], may[2])
  end
  return true
end

-- Parameters and FLOPs, which PyTorch counts.
local function compare_facts(w, ours, opponent)
  if not w.net then return print_flops(w) end
  ours:send "facts"
  opponent.worker:send "facts"
  check_facts(ours:answer(), opponent.worker:answer())
end

--- Prints what both say, and sets agree.failed where they differ. Random numbers and what
-- else passes over memory are held against theory in the specs.
---@param w table the workload
---@param ours table worker
---@param opponent table {name, worker}
---@return boolean? fine true if the answers are near enough; nil of a task that has none
function agree.check(w, ours, opponent)
  if w.task == "pass" then return end
  if opponent.name == "pytorch" or opponent.name == "other" then compare_facts(w, ours, opponent) end
  local path = settings.folder .. "/answers.safetensors"
  ours:ask("export " .. path)
  local fine = check_answers(w, opponent.worker:ask("compare " .. path), opponent.name)
  os.remove(path)
  return fine
end

return agree
