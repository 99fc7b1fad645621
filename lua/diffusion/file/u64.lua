-- Numbers of 64 bits without a sign are Lua's integers of the same bits. Doubles lose digits
-- from 2^53 on, and Lua's own integers end at 2^63 - 1.
local u64 = {}

local LARGEST = "18446744073709551615"

--- The number that decimal digits stand for.
---@param digits string
---@return integer|nil n nil if they aren't digits, begin with a needless 0, or exceed 2^64 - 1
function u64.read(digits)
  if #digits < 19 then return not digits:find "^0." and not digits:find "%D" and math.tointeger(digits) or nil end
  if #digits > 20 or digits:find "%D" or digits:find "^0" then return nil end
  if #digits == 20 and digits > LARGEST then return nil end
  return math.tointeger(digits:sub(1, -2)) * 10 + math.tointeger(digits:sub(-1))
end

--- A number as decimal digits.
---@param n integer
---@return string
function u64.text(n)
  if n >= 0 then return ("%d"):format(n) end
  local tenth = (n >> 1) // 5
  return ("%d%d"):format(tenth, n - tenth * 10)
end

--- A number with commas between thousands.
---@param n integer
---@return string
function u64.commas(n)
  local text = u64.text(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (text:gsub("^,", ""))
end

-- The largest number whose product with n, in 1..2^63 - 1, is below 2^64.
local function most_times(n)
  local half = (math.maxinteger // n) << 1
  return math.ult(-1 - half * n, n) and half or half + 1
end

--- A product.
---@param a integer
---@param b integer
---@return integer|nil product nil from 2^64 on
function u64.product(a, b)
  if a == 0 or b == 0 then return 0 end
  if b < 0 then a, b = b, a end
  if b < 0 or math.ult(most_times(b), a) then return nil end
  return a * b
end

return u64
