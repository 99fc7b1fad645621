--- A workload as words `key=value`, the format of commands and answers. Lists are written
-- 32,32,3.
local words = {}

--- "a=1 b=2,3" or { "a=1", "b=2,3" } -> { a = "1", b = "2,3" }
function words.parse(given)
  if type(given) == "table" then given = table.concat(given, " ") end
  local out = {}
  for key, value in given:gmatch "([%w_]+)=(%S*)" do out[key] = value end
  return out
end

local function written(value)
  if type(value) ~= "table" then return tostring(value) end
  local out = {}
  for i, v in ipairs(value) do out[i] = tostring(v) end
  return table.concat(out, ",")
end

--- Formats a workload, in alphabetical order. Tables with names are left out.
function words.format(t)
  local out = {}
  for key, value in pairs(t) do
    local told = type(value) ~= "table" or next(value) == nil or value[1] ~= nil
    if told then out[#out + 1] = key .. "=" .. written(value) end
  end
  table.sort(out)
  return table.concat(out, " ")
end

--- "32,32,3" -> { 32, 32, 3 }
function words.numbers(text)
  local out = {}
  for number in (text or ""):gmatch "[^,]+" do out[#out + 1] = math.tointeger(number) or tonumber(number) end
  return out
end

return words
