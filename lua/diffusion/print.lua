--- The text of tensors and tables at a prompt. A tensor shows a header with shape and moments, then a
--- corner of its numbers, at most a screen.
local core = require "diffusion.core"
local kind = require "diffusion.kind"
local legible = require "diffusion.legible"

local countable = 2 ^ 26 -- elements; beyond, an expanded tensor's moments may not fit memory
local edge, width = 3, 6 -- numbers shown at each end of a long dimension; what is long

local function number_text(v, whole)
  if whole then return tostring(v) end
  if v ~= v then return "nan" end
  return ("%.4g"):format(v)
end

-- The positions of a dimension that are shown; false stands for the gap.
local function shown(n)
  local out = {}
  if n <= width then
    for i = 1, n do out[i] = i end
    return out
  end
  for i = 1, edge do out[i] = i end
  out[edge + 1] = false
  for i = 1, edge do out[edge + 1 + i] = n - edge + i end
  return out
end

-- One row of numbers as a list of texts.
local function row_texts(x, whole)
  local out = {}
  for k, i in ipairs(shown(x:size(1))) do
    out[k] = i and number_text(x[i], whole) or "..."
  end
  return out
end

local function aligned(rows)
  local most = 0
  for _, row in ipairs(rows) do
    for _, text in ipairs(row) do most = math.max(most, #text) end
  end
  local lines = {}
  for i, row in ipairs(rows) do
    local cells = {}
    for j, text in ipairs(row) do cells[j] = (" "):rep(most - #text) .. text end
    lines[i] = "  " .. table.concat(cells, " ")
  end
  return lines
end

-- The numbers of the first matrix in x.
local function corner(x, whole)
  while x:dim() > 2 do x = x[1] end
  if x:dim() == 1 then return aligned { row_texts(x, whole) } end
  local rows = {}
  for k, i in ipairs(shown(x:size(1))) do
    rows[k] = i and row_texts(x[i], whole) or { "..." }
  end
  return aligned(rows)
end

local function moments(x)
  local real = x:to(core.real)
  local finite = real:isfinite()
  local bad = x:numel() - math.tointeger(finite:to(core.real):sum():item())
  if bad > 0 then return ("  %d of %d not finite"):format(bad, x:numel()) end
  return ("  mean %.4g std %.4g min %.4g max %.4g"):format(real:mean():item(),
    x:numel() > 1 and real:std():item() or 0, real:min():item(), real:max():item())
end

-- An image's last dimension is its channels: one channel is shown as a plane.
local function plane(x)
  if x:dim() >= 3 and x:size(x:dim()) == 1 then return x:squeeze(x:dim()) end
  return x
end

local function tensor_text(x)
  if kind.shown(x) == "a freed tensor" then return "tensor (freed)" end
  local whole = x:dtype() == "i64" or x:dtype() == "u8"
  if core.is_stored(x) then return ("tensor %s %s"):format(x:dtype(), kind.shape_text(x)) end
  if x:dim() == 0 then return number_text(x:item(), whole) end
  x = x:detach() -- numbers are read out of it, and it may be recorded
  local head = ("tensor %s %s"):format(x:dtype(), kind.shape_text(x))
  if x:numel() == 0 then return head .. "  empty" end
  if x:numel() > width and x:numel() <= countable then head = head .. moments(x) end
  local lines = corner(plane(x), whole)
  if plane(x):dim() > 2 then lines[#lines + 1] = "  (the first of its planes)" end
  return head .. "\n" .. table.concat(lines, "\n")
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return type(a) == "number" and type(b) ~= "number"
      or type(a) == type(b) and tostring(a) < tostring(b)
  end)
  return keys
end

local function value_text(v)
  if core.is_tensor(v) then return ("tensor %s %s"):format(v:dtype(), kind.shape_text(v)) end
  if type(v) == "function" then return "function" end
  if type(v) == "string" then return '"' .. legible.line(v:gsub('["\\]', "\\%0")) .. '"' end
  return legible.line(legible.text(v):match "[^\n]*")
end

local function speaks(t) return (getmetatable(t) or {}).__tostring ~= nil end

local function walk(t, indent, depth, seen, out)
  for _, k in ipairs(sorted(t)) do
    local v = t[k]
    local inner = type(v) == "table" and not speaks(v)
    local head = indent .. legible.line(k)
    if inner and (depth == 0 or seen[v]) then
      out[#out + 1] = head .. " = {...}"
    elseif inner then
      out[#out + 1] = head .. ":"
      seen[v] = true
      walk(v, indent .. "  ", depth - 1, seen, out)
    else
      out[#out + 1] = head .. " = " .. value_text(v)
    end
  end
end

local print_ = {}

--- Prints a table with its keys in order, four levels deep. Tensors and models take one line each.
--- Other values are printed as print does.
---@param t any
---@usage d.pp{ lr = 1e-3, shape = { 8, 28, 28, 1 }, x = d.zeros(3) }
function print_.pp(t)
  if type(t) ~= "table" or speaks(t) and next(t) == nil then return print(legible.printable(t)) end
  local out = {}
  core.in_c_locale(walk, t, "", 4, { [t] = true }, out)
  print(table.concat(out, "\n"))
end

print_.tensor_text = tensor_text

return print_
