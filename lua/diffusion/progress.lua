--- The progress of a loop: a bar on a terminal, or otherwise a plain line from time to time.
local core = require "diffusion.core"
local legible = require "diffusion.legible"

local Progress = {}
Progress.__index = Progress

local progress = {}

local function clock_text(seconds)
  if seconds ~= seconds or seconds > 360000 then return "--:--" end
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%d:%02d"):format(s // 60, s % 60)
end

--- The progress over `total` steps.
---@param total integer
---@param options table? {done = 0, unit = "images", out = io.stderr, every = 30 seconds
---  between plain lines}
function progress.new(total, options)
  local o = options or {}
  local now = core.clock()
  return setmetatable({ total = total, first = o.done or 0, unit = o.unit or "images",
    out = o.out or io.stderr, every = o.every or 30, began = now, shown = -math.huge, items = 0,
    live = core.isatty(2), open = false }, Progress)
end

local function bar(share, width)
  local full = math.floor(share * width + 0.5)
  return ("#"):rep(full) .. ("."):rep(width - full)
end

-- A rate with two digits at least: "0.23", "4.1", "56".
local function rate_text(rate) return (rate < 9.95 and "%.2g" or "%.0f"):format(rate) end

--- Reports a step: its number, a text for it ("loss 0.031"), and the number of its items.
function Progress:update(step, text, items)
  self.items = self.items + items
  local now = core.clock()
  local last = step >= self.total
  local due = self.live and 0.1 or self.every
  if not last and now - self.shown < due then return end
  self.shown, self.open = now, not last
  local passed = math.max(now - self.began, 1e-9)
  local left = passed / math.max(1, step - self.first) * (self.total - step)
  local line = legible.line(legible.format("step %d/%d  %s  %s %s/s  %s left", step, self.total, text,
    rate_text(self.items / passed), self.unit, clock_text(left)))
  if self.live then
    self.out:write("\r[", bar(step / self.total, 24), "] ", line, "\27[K", last and "\n" or "")
  else
    self.out:write(line, "\n")
  end
  self.out:flush()
end

--- Ends the bar's line if the loop ended early.
function Progress:close()
  if self.live and self.open then self.out:write "\n" end
  self.open = false
end

Progress.__close = Progress.close

--- Items per second so far.
function Progress:rate() return self.items / math.max(core.clock() - self.began, 1e-9) end

return progress
