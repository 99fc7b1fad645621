-- The public table of diffusion.mpi, made from the calls of csrc/binding/lmpi.c.
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local lookup = require "diffusion.lookup"
local model = require "diffusion.nn.model"
local averages = require "diffusion.ema"

-- ==== arguments ===========================================================================

-- Calls fn(x) with each tensor of a model, an average, a list or a table by name, in one order on all ranks.
local function each_tensor(where, value, fn)
  if core.is_tensor(value) then return fn(value) end
  if model.has_parameters(value) or averages.is_ema(value) then value = value:state() end
  if type(value) ~= "table" then
    fail.raise("mpi.%s: a tensor, a model, an average or a table of tensors expected, got %s", where, kind.shown(value))
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  for _, key in ipairs(keys) do each_tensor(where, value[key], fn) end
end

-- Sentences about what differs between ranks: each rank tells its own text.
local function check_equal(raw, where, what, text)
  local all = raw.gather_text(text)
  for r = 2, #all do
    if all[r] ~= all[1] then
      fail.raise("mpi.%s: %s is %s on rank 0, but %s on rank %d", where, what, all[1], all[r], r - 1)
    end
  end
end

local function described(x) return ("%s %s"):format(x:dtype(), kind.shape_text(x)) end

-- ==== the calls ===========================================================================

local function broadcast(raw, value, from)
  from = from or 0
  if not (math.type(from) == "integer" and from >= 0 and from < raw.size) then
    fail.raise("mpi.broadcast: a rank in 0..%d expected, got %s", raw.size - 1, kind.shown(from))
  end
  local list, texts = {}, {}
  each_tensor("broadcast", value, function(x) list[#list + 1], texts[#texts + 1] = x, described(x) end)
  check_equal(raw, "broadcast", "what is sent", table.concat(texts, ", "))
  for _, x in ipairs(list) do
    local whole = x:is_contiguous() and x or x:detach():contiguous()
    fail.call(raw.broadcast, whole, from)
    if whole ~= x then x:copy_(whole) end
  end
  return value
end

local function all_reduce(raw, x)
  if type(x) == "number" then return all_reduce(raw, core.tensor({ x }, { dtype = "f64" })):item() end
  if not core.is_tensor(x) then
    fail.raise("mpi.all_reduce: a number or a tensor expected, got %s", kind.shown(x))
  end
  check_equal(raw, "all_reduce", "x", described(x))
  local y = x:detach():clone()
  fail.call(raw.all_reduce, y)
  return y
end

-- The first dimensions of all ranks' parts, added up. The rest of the shape must be equal.
local function rows_of_all(raw, x)
  local shape = x:shape()
  local rows = table.remove(shape, 1)
  check_equal(raw, "gather", "x without its first dimension", ("%s [%s]"):format(x:dtype(), table.concat(shape, ",")))
  local total = 0
  for _, text in ipairs(raw.gather_text(tostring(rows))) do total = total + math.tointeger(text) end
  return { total, table.unpack(shape) }
end

local function gather(raw, x)
  if type(x) == "number" then return gather(raw, core.tensor({ x }, { dtype = "f64" })) end
  if not core.is_tensor(x) then fail.raise("mpi.gather: a number or a tensor expected, got %s", kind.shown(x)) end
  if x:dim() == 0 then x = x:unsqueeze(1) end
  local part = x:detach():contiguous()
  local all = core.zeros(rows_of_all(raw, part), { dtype = part:dtype() })
  fail.call(raw.gather, part, all)
  return all
end

-- ==== the table ===========================================================================

--- The ranks that mpirun started: d.mpi, or the module diffusion.mpi. It is there if the library was built with MPI;
--- d.help "scale" says how to get it. All ranks must make these calls.
---@class diffusion.mpi
---@field rank integer the number of this rank, from 0
---@field size integer the number of ranks
---@field host string the name of this rank's machine
---@field barrier fun() waits for all ranks
---@field broadcast fun(x: any, from: integer?): any a tensor, a model, an average or a table of tensors gets the values
---  of rank `from`, 0 by default
---@field all_reduce fun(x: number|diffusion.tensor): number|diffusion.tensor the sum over all ranks
---@field gather fun(x: number|diffusion.tensor): diffusion.tensor the rows of all ranks, one after another

local function text_of(raw)
  return ("mpi: rank %d of %d on %s, %s"):format(raw.rank, raw.size, raw.host, raw.library)
end

--- Makes the table that `require "diffusion.mpi"` returns.
---@param raw table the calls of the module
---@return table mpi
local function new(raw)
  local mpi = { rank = raw.rank, size = raw.size, host = raw.host,
    gather_text = raw.gather_text, link = raw.link, broadcast_memory = raw.broadcast, sent = raw.sent,
    end_all = raw.end_all }
  function mpi.barrier() raw.barrier() end
  function mpi.broadcast(value, from) return broadcast(raw, value, from) end
  function mpi.all_reduce(x) return all_reduce(raw, x) end
  function mpi.gather(x) return gather(raw, x) end
  local meta = { __name = "diffusion.mpi", __tostring = function() return text_of(raw) end }
  function meta.__index(_, key)
    if lookup.is_public(key) then
      fail.raise("%s", lookup.sentence("mpi has", key, { "rank", "size", "host", "barrier", "broadcast", "all_reduce",
        "gather" }, "mpi"))
    end
  end
  core.ranks = setmetatable(mpi, meta)
  return mpi
end

return new
