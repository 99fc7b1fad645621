-- An optimiser over ranks: they begin with equal values, and gradients are summed over them.
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local same = require "diffusion.over.same"

local training = {}

-- All that decides about the bits that a rank computes.
local function machine()
  return ("kernels %s, precision %s, reals %s"):format((core.isa()), core.precision(), core.real)
end

--- Raises unless all ranks compute alike. Otherwise they would move apart in silence.
---@param ranks table
function training.check_alike(ranks)
  local all = ranks.gather_text(machine())
  for r = 2, #all do
    if all[r] ~= all[1] then
      fail.raise("adamw: rank 0 computes with %s, but rank %d with %s, so their bits differ; set DIFFUSION_ISA to one "
        .. "that all have, and one d.precision", all[1], r - 1, all[r])
    end
  end
end

-- Each rank must have the same parameters, or a sum would mix them.
local function check_same_parameters(ranks, homes)
  local lines = {}
  for i, home in ipairs(homes) do
    for j = 1, home:count() do
      lines[#lines + 1] = ("%d.%s %d"):format(i, home:name(j), home:trainable(j) and home:value(j):numel() or 0)
    end
  end
  local all = ranks.gather_text(table.concat(lines, "\n"))
  for r = 2, #all do
    if all[r] ~= all[1] then
      fail.raise("adamw: the models of rank 0 and rank %d have different parameters; all ranks run one script", r - 1)
    end
  end
end

-- Rates that are functions, and averages, are compared by their number alone.
local function check_same_options(ranks, values, o)
  same("adamw", ranks, opts.joined(o, { over = false, ema = #values }))
end

-- Rank 0's values, averages and random counters become everyone's. Adopted values are read from files.
local function broadcast(ranks, homes, values, beneath)
  for _, home in ipairs(table.move(beneath, 1, #beneath, #homes + 1, table.move(homes, 1, #homes, 1, {}))) do
    for i = 1, home:count() do
      if not home:is_adopted(i) then ranks.broadcast_memory(home:value(i), 0) end
    end
  end
  for _, x in ipairs(values) do ranks.broadcast_memory(x, 0) end
  local texts = ranks.gather_text(table.concat(core.random_state(), " "))
  local state = {}
  for word in texts[1]:gmatch "%S+" do state[#state + 1] = math.tointeger(word) end
  core.set_random_state(state)
end

--- A model's gradients are summed once, for the holder that is named last. Without one they are summed no more.
---@param homes table[] parameter buffers
---@param holder table|nil
function training.hold(homes, holder)
  for _, home in ipairs(homes) do
    local old = deal.holders[home]
    if old and old.core then
      old.core:close()
      old.core = nil
    end
    deal.holders[home] = holder
  end
end

--- Joins an optimiser's models to those of the other ranks.
---@param ranks table
---@param homes table[] parameter buffers
---@param values diffusion.tensor[] those of averages
---@param beneath table[] parameter buffers of networks that adapters belong to
---@param o table the optimiser's options, such as reproducible, bucket = MiB
---@return table holder {core, ranks}
function training.join(ranks, homes, values, beneath, o)
  training.check_alike(ranks)
  check_same_parameters(ranks, homes)
  check_same_options(ranks, values, o)
  broadcast(ranks, homes, values, beneath)
  local holder = { ranks = ranks }
  training.hold(homes, holder)
  local width = core.real == "f64" and 8 or 4
  holder.core = fail.call(core.over, homes, ranks.link,
    { bucket = math.max(1, math.tointeger(o.bucket * 2 ^ 20 // width)), tree = o.reproducible })
  return holder
end

return training
