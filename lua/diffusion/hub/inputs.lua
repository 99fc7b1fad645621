-- Inputs of a pipe's denoiser for training: its texts' states and the sizes of its pictures. Some texts are left out,
-- so that the denoiser learns to work without a text, as classifier-free guidance needs.
local batches = require "diffusion.data.batches"
local core = require "diffusion.core"
local fail = require "diffusion.fail"
local kind = require "diffusion.kind"
local opts = require "diffusion.opts"
local sizes = require "diffusion.hub.sizes"
local text = require "diffusion.hub.text"

local inputs = {}

local rules = opts.declare("pipe_inputs", {
  drop = { "number", default = 0, min = 0, max = 1, text = "share of texts that are left out, for guidance" },
  clip_skip = { "integer", min = 0, default = 0, text = "last layers of the text encoder that are left out" },
})

-- ==== texts =============================================================================

-- Which of n texts are left out, or nil for none.
local function dropped(n, share)
  if share == 0 then return nil end
  local list, any = core.rand(n):lt(share):totable(), false
  for i, out in ipairs(list) do
    list[i] = out == 1 or out == true
    any = any or list[i]
  end
  return any and list or nil
end

-- Rows of x, and those of `without` where a text is left out.
local function mixed(x, without, out)
  local shape = { #out }
  for i = 2, x:dim() do shape[i] = 1 end
  local mask = {}
  for i, is_out in ipairs(out) do mask[i] = is_out and 1 or 0 end
  return core.ops.where(core.tensor(mask):reshape(shape), without, x)
end

local function all_mixed(given, without, out)
  local all = {}
  for name, x in pairs(given) do all[name] = mixed(x, without[name], out) end
  return all
end

local function zeros(given)
  local out = {}
  for name, x in pairs(given) do out[name] = core.zeros(x:shape()) end
  return out
end

local function encoded(where, own, list, o, out)
  if not out or own.zeros then
    local given = text.states(where, own, list, o.clip_skip)
    return out and all_mixed(given, zeros(given), out) or given
  end
  local kept = {}
  for i, one in ipairs(list) do kept[i] = out[i] and "" or one end
  return text.states(where, own, kept, o.clip_skip)
end

-- ==== a batch ===========================================================================

-- {captions, sizes} of batches, of a table, or of a list of texts.
local function batch_of(where, given)
  if batches.is_batches(given) then return { captions = given.captions, sizes = given.sizes, walk = given } end
  if type(given) == "table" and given[1] ~= nil then return { captions = given } end
  if kind.of(given) == "table" then return given end
  fail.raise("bad argument #1 to '%s' (batches of a set, a list of texts, or {captions =, sizes =} expected, got %s)",
    where, kind.shown(given))
end

local function check_captions(where, list)
  if type(list) ~= "table" or #list == 0 then
    fail.raise("%s: these batches have no captions yet; a set with captions has them after each step", where)
  end
  for i, one in ipairs(list) do
    if type(one) ~= "string" then fail.raise("%s: caption %d must be a text, got %s", where, i, kind.shown(one)) end
  end
  return list
end

-- The states that a set has for its examples, or those of captions.
local function states_of(where, own, batch, o)
  local given, without = batches.inputs(batch.walk)
  if given then
    local _, any = next(given)
    local out = dropped(any:size(1), o.drop)
    return out and all_mixed(given, without, out) or given
  end
  local list = check_captions(where, batch.captions)
  return encoded(where, own, list, o, dropped(#list, o.drop))
end

--- Inputs of the denoiser for a batch.
---@param own table the private state of a pipe
---@param given any
---@param options table|nil
---@return table<string, diffusion.tensor>
function inputs.of(own, given, options)
  local where = "pipe:inputs"
  if not own.prompted then fail.raise("%s: the denoiser of a %s takes no texts", where, own.class) end
  local o, batch = opts.check(where, options, rules, 2), batch_of(where, given)
  local out = states_of(where, own, batch, o)
  if own.joins then out.time_ids = sizes.rows(where, own, batch.sizes, out.context:size(1)) end
  return out
end

return inputs
