-- Importance sampling takes t by the second moment of its losses (Nichol & Dhariwal 2021, eq. 18).
-- p_t is proportional to sqrt(E L_t^2) over the last losses of each t, mixed with a small uniform
-- part. Until every t has enough losses, p_t is uniform. Each sample is weighted by 1/(T p_t), so
-- the loss has the same mean as with uniform t.
local core = require "diffusion.core"

local importance = {}

local function moment(losses)
  local sum = 0
  for _, v in ipairs(losses) do sum = sum + v * v end
  return math.sqrt(sum / #losses)
end

-- The present law: p_t and their running sums, or nil while it is uniform.
local function law_of(self)
  if self.full < self.T then return nil end
  local p, total = {}, 0
  for t = 1, self.T do
    p[t] = moment(self.losses[t])
    total = total + p[t]
  end
  if not (total > 0 and total < math.huge) then return nil end
  local sums, sum = {}, 0
  for t = 1, self.T do
    p[t] = (1 - self.uniform) * p[t] / total + self.uniform / self.T
    sum = sum + p[t]
    sums[t] = sum
  end
  return p, sums
end

-- The first t whose running sum passes u.
local function find(sums, u)
  local low, high = 1, #sums
  u = u * sums[high]
  while low < high do
    local middle = (low + high) // 2
    if sums[middle] > u then high = middle else low = middle + 1 end
  end
  return low
end

local function draw(self, B)
  local p, sums = law_of(self)
  if not p then return core.randint(1, self.T, { B }) end
  local t, share = core.rand(B):totable(), {}
  for k, u in ipairs(t) do
    t[k] = find(sums, u)
    share[k] = 1 / (self.T * p[t[k]])
  end
  return core.tensor(t, { dtype = "i64" }), core.tensor(share)
end

-- Stores losses. The oldest of a t is dropped. Losses that aren't finite are ignored.
local function learn(self, t, losses)
  for k, loss in ipairs(losses) do
    local own = self.losses[t[k]]
    if loss - loss == 0 then
      own[#own + 1] = loss
      if #own > self.keep then table.remove(own, 1)
      elseif #own == self.keep then self.full = self.full + 1 end
    end
  end
end

local function count_full(self)
  self.full = 0
  for t = 1, self.T do
    if #self.losses[t] == self.keep then self.full = self.full + 1 end
  end
end

-- Whether losses are T lists of finite numbers, none longer than `keep`.
local function fits(self, losses)
  if type(losses) ~= "table" or #losses ~= self.T then return false end
  for _, own in ipairs(losses) do
    if type(own) ~= "table" or #own > self.keep then return false end
    for _, v in ipairs(own) do if type(v) ~= "number" or v - v ~= 0 then return false end end
  end
  return true
end

--- A law of t in 1..T that learns from losses.
---@param T integer
---@param o table {keep, uniform}
---@return table law as in times.lua, with learn(t, losses), two lists; state() and load_state(losses)
function importance.new(T, o)
  local self = { T = T, keep = o.keep, uniform = o.uniform, losses = {}, full = 0 }
  for t = 1, T do self.losses[t] = {} end
  return {
    draw = function(B) return draw(self, B) end,
    learn = function(t, losses) learn(self, t, losses) end,
    state = function()
      local out = {}
      for t = 1, T do out[t] = table.move(self.losses[t], 1, #self.losses[t], 1, {}) end
      return out
    end,
    load_state = function(losses)
      if not fits(self, losses) then return false end
      for t = 1, T do self.losses[t] = table.move(losses[t], 1, #losses[t], 1, {}) end
      count_full(self)
      return true
    end,
  }
end

return importance
