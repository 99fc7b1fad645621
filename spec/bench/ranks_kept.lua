-- Keeps the results of ranks.lua in build/bench.
local kept = { names = { "demo", "small", "cifar" } }

local function path_of(name, P) return ("build/bench/ranks_%s_%s.txt"):format(name, P) end

--- Keeps the text that ranks_steps.lua printed.
---@param name string
---@param P integer|string ranks, or the rate of a link between two
---@param text string
function kept.write(name, P, text)
  os.execute "mkdir -p build/bench"
  local file <close> = assert(io.open(path_of(name, P), "w"))
  file:write(text)
end

local function rows_of(text)
  local rows = {}
  for way, op, direction, seconds in text:gmatch "row (%S+) (%S+) (%S+) (%S+)" do
    local own = rows[way] or { backward = 0 }
    rows[way] = own
    if direction == "backward" then own.backward = own.backward + tonumber(seconds)
    else own[op] = tonumber(seconds) end
  end
  return rows
end

--- A network's figures, or nil.
---@param name string
---@param P integer|string ranks, or the rate of a link between two
---@return table|nil part {ways = {seconds, messages, bytes} by way, rows = seconds by way and op, parameters, link}
function kept.read(name, P)
  local file = io.open(path_of(name, P))
  if not file then return end
  local text, part = file:read "a", { ways = {} }
  file:close()
  for way, seconds, messages, bytes, parameters in text:gmatch "way (%S+) (%S+) (%S+) (%S+) (%d+)" do
    part.parameters = math.tointeger(parameters)
    part.ways[way] = { seconds = tonumber(seconds), messages = tonumber(messages), bytes = tonumber(bytes) }
  end
  local alpha, beta, gamma = text:match "link (%S+) (%S+) (%S+)"
  part.link = alpha and { alpha = tonumber(alpha), beta = tonumber(beta), gamma = tonumber(gamma) }
  part.rows = rows_of(text)
  return part
end

return kept
