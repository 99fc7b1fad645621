-- Output of busted in `make test`: one line per file with one dot per test, and each
-- failure as it happens. The last line is `N passed, N failed`, which run.lua adds up.
local busted = require "busted"
local pretty = require "pl.pretty"

local passed, failed, pending = 0, 0, 0
local started, open   -- time when the file began; true while its line is open

local function put(...) io.write(...) io.flush() end

local function name_of(element)
  local names = {}
  while element and element.descriptor ~= "file" and element.descriptor ~= "suite" do
    table.insert(names, 1, element.name or element.descriptor)
    element = busted.parent(element)
  end
  return table.concat(names, " ")
end

-- The calls between the test and the place of an error.
local function calls(trace)
  local lines = {}
  for line in (trace and trace.traceback or ""):gmatch "\t([^\n]+)" do
    if line:find "in function 'xpcall'" then break end
    if line:find "^[^%[].*:%d+:" and not line:find "/busted/" then lines[#lines + 1] = "  " .. line end
  end
  return #lines > 1 and table.concat(lines, "\n") .. "\n" or ""
end

local function fault(element, _, message, trace)
  failed = failed + 1
  local place = element.trace or trace or {}
  if type(message) ~= "string" then message = pretty.write(message) end
  put("F\n\nFAILED ", tostring(place.short_src or element.name), ":", tostring(place.currentline or "?"),
    "  ", name_of(element), "\n", message, "\n", calls(trace), "\n")
  open = false
  return nil, true
end

local function file_start(file)
  put(file.name:match "[^/]*$":gsub("%.lua$", ""), "  ")
  started, open = os.time(), true
  return nil, true
end

local function test_end(_, _, status)
  if status == "success" then passed = passed + 1 put "."
  elseif status == "pending" then pending = pending + 1 put "p" end
  open = true
  return nil, true
end

local function file_end()
  local seconds = os.time() - started
  if open then put(seconds > 1 and ("  %d s"):format(seconds) or "", "\n") end
  return nil, true
end

local function suite_end()
  if pending > 0 then put(pending, " pending\n") end
  put(passed, " passed, ", failed, " failed\n")
  return nil, true
end

return function()
  return { subscribe = function()
    busted.subscribe({ "file", "start" }, file_start)
    busted.subscribe({ "file", "end" }, file_end)
    busted.subscribe({ "test", "end" }, test_end)
    busted.subscribe({ "failure" }, fault)
    busted.subscribe({ "error" }, fault)
    busted.subscribe({ "suite", "end" }, suite_end)
  end }
end
