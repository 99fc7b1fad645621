--- Classes as they are given: one for all samples, or one for each.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

--- A tensor of one class for each of n samples, or a sentence; nil stays nil.
---@param where string "sampler"
---@param class integer|integer[]|diffusion.tensor|nil
---@param n integer
---@return diffusion.tensor|nil {n}, i64 unless it was a tensor of another type
return function(where, class, n)
  if class == nil then return nil end
  if type(class) == "number" then
    if not math.tointeger(class) then opts.fail("%s: class must be a whole number, got %g", where, class) end
    return core.full({ n }, class, { dtype = "i64" })
  end
  if type(class) == "table" then
    class = core.tensor(opts.whole_numbers(where .. ": class", class), { dtype = "i64" })
  end
  if opts.shape_text(class) ~= ("[%d]"):format(n) then
    opts.fail("%s: class is %s for %d samples", where, opts.shape_text(class), n)
  end
  return class
end
