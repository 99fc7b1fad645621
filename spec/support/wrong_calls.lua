-- Calls everything public with unsuitable arguments. Reports messages that name an inner
-- line or no place. Run it in its own folder, since some calls may write.
--   lua5.4 wrong_calls.lua [pattern of names]
local d = require "diffusion"
local reference = require "diffusion.reference"

local out, done = io.stdout, 0
d.manual_seed(1)
_ENV.print = function() end -- output is not checked

-- ---- one value of each kind --------------------------------------------------------

local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
local model = d.mlp { dim = 2, hidden = 4, depth = 1 }
local ema = d.ema(model, { decay = { "power" } })
local set = d.data.toy.moons(8)
local merges <close> = assert(io.open("merges", "w"))
merges:write "#version: 0.2\na b</w>\n"
merges:close()
local objects = {
  tensor = function() return d.ones(2, 3) end,
  model = function() return model end,
  ema = function() return ema end,
  adamw = function() return d.adamw(model) end,
  set = function() return set end,
  batches = function() return set:batches { size = 2 } end,
  process = function() return process end,
  schedule = function() return process.schedule end,
  objective = function() return d.objective { process = process } end,
  oracle = function() return d.oracle.gaussian { mean = { 0, 0 }, std = 1 } end,
  generator = function() return d.generator() end,
  checkpoint = function() return d.checkpoint { path = "run", model = model } end,
  grid = function() return d.grid.trailing(10, 3) end,
  run = function() return d.sampler.steps { model = model, process = process, shape = { 2, 2 }, steps = 2 } end,
  tokenizer = function() return assert(d.tokenizer "merges") end,
  trainer = function()
    return d.trainer { model = model, objective = d.objective { process = process }, opt = d.adamw(model),
                       batches = set:batches { size = 2, steps = 2 }, quiet = true }
  end,
}

-- ---- unsuitable values -------------------------------------------------------------

local lists = {
  {}, { nil, nil, n = 2 }, { "a" }, { 5 }, { -1 }, { 1.5 }, { 0 / 0 }, { true }, { print }, { {} }, { { {} } },
  { { 1, "a" } }, { { nosuch = 1 } }, { io.stdout }, { "a", {} }, { {}, 5 }, { 2, {} }, { print, {} }, { { print } },
  { model }, { set }, { model, "a" }, { process, {} }, { process, model, "a" }, { {}, model }, { "a", "b", "c" },
  { 5, 5, 5, 5 }, { 1, 2, {} },
}
local with_tensor = {
  {}, { "a" }, { 5 }, { -1 }, { 1.5 }, { print }, { {} }, { { 1, "a" } }, { { nosuch = 1 } }, { process }, { 5, 5 },
  { 1, "a" }, { 1, 1, 5 }, { 0 / 0, 1 },
}
local tensors = { function() return d.randn(2, 3) end, function() return d.zeros(0, 3) end,
                  function() return d.full({}, 1) end }
for i, list in ipairs(with_tensor) do
  lists[#lists + 1] = { tensors[i % 3 + 1](), table.unpack(list) }
  lists[#lists + 1] = { tensors[(i + 1) % 3 + 1](), table.unpack(list) }
end
for _, first in ipairs { 5, process, model } do lists[#lists + 1] = { first, tensors[1](), "a" } end

-- ---- faults of messages ------------------------------------------------------------------------

local patterns = {
  "'%?'", "lua/diffusion/[%w_/]*%.lua:%d+", "attempt to", "1%.%.0%f[%D]", "0%.%.%-1", "stack overflow",
  "for iterator", "table: 0x", "function: ", "userdata: ", "%(nil%)", "%-nan", "invalid value %(at index",
}

local function fault_of(message)
  if type(message) ~= "string" then return "no string" end
  for _, pattern in ipairs(patterns) do
    if message:find(pattern) then return pattern end
  end
  local wanted, got = message:match "is a (%w+), not a (%w+)"
  if wanted and wanted == got then return "a thing, not that thing" end
  wanted, got = message:match "(%w+) expected, got (%w+)$"
  return wanted and wanted == got and "a thing expected, got that thing"
end

local function told(list, n)
  local words = {}
  for i = 1, n do
    local plain = type(list[i]) == "table" and not debug.getmetatable(list[i])
    words[i] = plain and "{...}" or tostring(list[i]):match "[^\n]*"
  end
  return table.concat(words, ", ")
end

-- Calls from a line of this file, so that messages have the place of a user's call.
local function called(f, list, n, first)
  if first ~= nil then f(first, table.unpack(list, 1, n)) else f(table.unpack(list, 1, n)) end
  return nil
end

local seen = {}
local function try(name, f, make)
  for _, list in ipairs(lists) do
    local n = list.n or #list
    done = done + 1
    local fine, message = pcall(called, f, list, n, make and make())
    local fault = not fine and fault_of(message)
    local kind = fault and name .. message:gsub("0x%x+", ""):gsub("%d+", "")
    if fault and not seen[kind] then
      seen[kind] = true
      out:write(("%s(%s): %s\n"):format(name, told(list, n), message))
    end
  end
end

-- These are left out: they change the process itself, or read much.
local LEFT = { ["d.threads"] = true, ["d.memory_limit"] = true, ["d.precision"] = true,
               ["d.pack_budget"] = true, ["d.data.fashion_mnist"] = true }

local names = {}
for name in pairs(reference) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local place, key = name:match "^([%w_.]+)[:.]([%w_]+)$"
  local make = objects[place]
  if not LEFT[name] and (not arg[1] or name:find(arg[1])) then
    if make and name:find ":" then
      try(name, make()[key], make)
      if place ~= "tensor" then try(name, make()[key]) end -- with a dot instead of a colon
    elseif name:find "%(%)$" and objects[name:match "^%w+"] then
      local again = objects[name:match "^%w+"]
      try(name, function(x, ...) return x(...) end, again)
    elseif name:find "^d%." then
      local f = d
      for word in name:sub(3):gmatch "[^.]+" do f = f[word] end
      if type(f) == "function" then try(name, f) end
    end
  end
end
d.memory_limit(0)
out:write(("%d calls\n"):format(done))
