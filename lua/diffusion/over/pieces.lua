-- d.record on a rank that holds several pieces of a batch. The function runs once for each piece. Meanwhile the
-- batch's tensors are windows on that piece, wherever the function reaches them. The results are joined, and the
-- backward pass of a joined loss walks the pieces' records one after another.
local core = require "diffusion.core"
local deal = require "diffusion.over.deal"
local fail = require "diffusion.fail"
local sums = require "diffusion.over.sums"
local together = require "diffusion.over.together"

local pieces = {}

-- ==== windows =============================================================================

local function is_plain(value) return type(value) == "table" and not getmetatable(value) end

-- rows: a set of numbers of rows
local function has_rows(x, rows)
  return core.is_tensor(x) and not core.is_freed(x) and x:dim() > 0 and rows[x:size(1)]
end

-- A record cuts the present batch, and those that it interrupts. Returns {deals, pieces, first = pieces before this
-- rank's, list = tensors, has = the set of these, rows, sizes, most}. `rows` is the set of their numbers of rows.
-- `sizes` is that of a piece's, and `most` the largest of these.
local function batch_of(now)
  local batch = { deals = deal.together(now), pieces = now.pieces, first = now.first // now.size, list = {}, has = {},
                  rows = {}, sizes = {}, most = 0 }
  for _, one in ipairs(batch.deals) do
    batch.rows[one.rows], batch.sizes[one.size], batch.most = true, true, math.max(batch.most, one.size)
  end
  return batch
end

-- The batch's tensors: those that were dealt, and those with a row for each sample that were made since.
local function find_tensors(batch)
  local lists, found = { core.listed_rows() }, {}
  for _, one in ipairs(batch.deals) do
    for _, x in ipairs(one.boxes) do found[x] = true end
    table.move(one.made, 1, #one.made, #lists + 1, lists)
  end
  for _, list in ipairs(lists) do
    for x in next, list do found[x] = true end
  end
  for x in next, found do
    if has_rows(x, batch.rows) then
      table.insert(batch.list, x)
      batch.has[x] = true
    end
  end
end

local Shown = {}

-- Gives the tensors their whole memory back.
function Shown.__close(shown)
  for x, window in next, shown.windows do core.swap(x, window) end
  for _, restore in ipairs(shown) do restore() end
  core.first_sample(shown.first)
end

-- Shows piece k instead of the batch, until it is closed. Some tensors may be gone since they were found.
local function show(batch, k)
  local shown = { windows = {} }
  for _, x in ipairs(batch.list) do
    local size = has_rows(x, batch.rows) and x:size(1) // batch.pieces
    shown.windows[x] = size and x:narrow(1, (k - 1) * size + 1, size) or nil -- nothing after it can fail
  end
  for x, window in next, shown.windows do core.swap(x, window) end
  for i, one in ipairs(batch.deals) do shown[i] = one.hide(k) end
  shown.first = core.first_sample((batch.first + k - 1) * batch.most)
  return setmetatable(shown, Shown)
end

-- ==== joining results =====================================================================

-- The mean of tensors of one number. Whole numbers stay whole if they are equal.
local function mean_of_tensors(list)
  local first, alike = list[1], true
  if first:dtype() == core.real then return sums.mean(list) end
  for _, x in ipairs(list) do alike = alike and x:equal(first) end
  if alike then return first end
  for k, x in ipairs(list) do list[k] = x:to(core.real) end
  return sums.mean(list)
end

-- The backward pass of one piece's loss. Recomputed
-- functions and custom ops read the batch's tensors again.
local function walk_piece(dy, losses, k)
  local loss = losses[k]
  local value = loss:detach():item()
  sums.each(function(sum) sum:begin_part(k, #losses, value) end)
  local shown <close> = show(losses.batch, k) -- luacheck: ignore 211
  fail.call(loss.backward, loss, nil, dy)
  sums.check()
  sums.each(function(sum) sum:end_part() end)
end

-- The backward pass of a joined loss. Each piece's begins with the gradient of the loss, as it would alone.
local function walk(dy, losses)
  for k = 1, #losses do walk_piece(dy, losses, k) end
end

-- The mean of losses, each recorded in a record of its own.
local function joined_loss(batch, losses)
  local values = {}
  losses.batch = batch
  for k, loss in ipairs(losses) do values[k] = loss:detach() end
  return sums.joined_loss(values, walk, losses)
end

-- A loss may also have the shape [1], unless that is the shape of a row for each sample.
local function is_number_like(batch, x, record)
  return x:dim() == 0 or x:numel() == 1 and not has_rows(x, batch.sizes) and core.is_recorded_by(x, record)
end

local joined

local function joined_tensors(batch, list, records)
  if is_number_like(batch, list[1], records[1]) then
    if core.is_recorded_by(list[1], records[1]) then return joined_loss(batch, list) end
    return mean_of_tensors(list)
  end
  if not has_rows(list[1], batch.sizes) then return list[1] end
  for k, x in ipairs(list) do list[k] = x:detach() end
  return core.ops.cat(list, 1)
end

local function joined_tables(batch, list, records)
  local out = {}
  for key in next, list[1] do
    local values = {}
    for k, one in ipairs(list) do values[k] = one[key] end
    out[key] = #values == #list and joined(batch, values, records) or list[1][key]
  end
  return out
end

-- One result of the pieces: losses as their mean, rows one after another, and the first of anything else.
function joined(batch, list, records)
  local first = list[1]
  if core.is_tensor(first) then return joined_tensors(batch, list, records) end
  if is_plain(first) then return joined_tables(batch, list, records) end
  return type(first) == "number" and sums.mean(list) or first
end

-- ==== recording ===========================================================================

local function check_summed()
  local any = false
  sums.each(function() any = true end)
  if any then return end
  fail.raise("record: the batch is cut over ranks, but no optimiser sums gradients over them; make it by "
    .. "d.adamw(model, { over = mpi })")
end

-- Lists with an entry for each sample, such as captions, are cut if they are arguments, or in tables of these.
local function cut(value, batch, k, depth)
  if not is_plain(value) or depth > 4 then return value end
  local size = batch.rows[#value] and #value // batch.pieces
  if size then return table.move(value, (k - 1) * size + 1, k * size, 1, {}) end
  local out = {}
  for key, one in next, value do out[key] = cut(one, batch, k, depth + 1) end
  return out
end

local function run_piece(batch, k, state, fn, args)
  local own = { n = args.n }
  for i = 1, args.n do own[i] = cut(args[i], batch, k, 1) end
  local shown <close> = show(batch, k) -- luacheck: ignore 211
  core.set_random_state(state)
  local record <close> = fail.call(core.record_open, "leaves")
  record:part(1, 0)
  return record, table.pack(fn(table.unpack(own, 1, own.n)))
end

local function run_pieces(batch, fn, args)
  local state, records, results = core.random_state(), {}, {}
  for k = 1, batch.pieces do records[k], results[k] = run_piece(batch, k, state, fn, args) end
  return records, results
end

local function joined_results(batch, records, results)
  local out, n = {}, results[1].n
  for i = 1, n do
    local values = {}
    for k = 1, batch.pieces do values[k] = results[k][i] end
    out[i] = #values == batch.pieces and joined(batch, values, records) or results[1][i]
  end
  return table.unpack(out, 1, n)
end

-- The only piece of this rank: no tensor is cut.
local function record_one(batch, fn, ...)
  local shown <close> = show(batch, 1) -- luacheck: ignore 211
  local record <close> = fail.call(core.record_open, "leaves") -- luacheck: ignore 211
  return fn(...)
end

local function then_tell(now, ...)
  deal.tell(now)
  return ...
end

-- The pieces one by one.
local function record_pieces(batch, fn, ...)
  local records, results = run_pieces(batch, fn, table.pack(...))
  return joined_results(batch, records, results)
end

-- Together if that can be, else one by one with the same draws.
local function record_several(now, batch, fn, ...)
  find_tensors(batch)
  if together.may(now, batch, fn, ...) then
    local state = core.random_state()
    local loss, details = together.record(now, fn, ...)
    if loss then return loss, details end
    core.set_random_state(state)
  end
  return record_pieces(batch, fn, ...)
end

--- d.record in a deal.
---@param fn function
---@param ... any
---@return any ...
function pieces.record(fn, ...)
  local now = deal.now
  check_summed()
  local batch = batch_of(now)
  if batch.pieces == 1 then return then_tell(now, record_one(batch, fn, ...)) end
  return then_tell(now, record_several(now, batch, fn, ...))
end

return pieces
