-- Runs the specs: spec/*_spec.lua in core.so, spec/theory/*_spec.lua in core64.so, and
-- the check of kernels if it is built. The last line is `N passed, N failed`.
-- lua5.4 spec/support/run.lua [spec files] [busted's options]

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

local function find(folder)
  local paths = {}
  for path in io.popen("ls " .. folder .. "/*_spec.lua 2>/dev/null"):lines() do paths[#paths + 1] = path end
  return paths
end

local chosen, options = {}, {}
for _, word in ipairs(arg) do
  local list = word:find "_spec%.lua$" and chosen or options
  list[#list + 1] = word
end

for _, path in ipairs(chosen) do
  local file = io.open(path)
  if not file then
    print(path .. ": no such spec")
    os.exit(false)
  end
  file:close()
end

local single, double = {}, {}
for _, path in ipairs(#chosen > 0 and chosen or find "spec") do
  table.insert(path:find "theory/" and double or single, path)
end
if #chosen == 0 then double = find "spec/theory" end

local passed, failed = 0, 0

-- Runs a command and shows its output as it comes. Returns the text, and success.
local function run(command)
  local out, text = assert(io.popen(command)), {}
  for c in out:lines(1) do
    text[#text + 1] = c
    io.write(c) io.flush()
  end
  return table.concat(text), out:close() == true
end

local function count(yes, no) passed, failed = passed + yes, failed + no end

local preload = os.getenv "DIFFUSION_PRELOAD"   -- the library of a sanitizer

local function busted(title, environment, paths)
  if #paths == 0 then return end
  print(title)
  local words = { environment, preload and "LD_PRELOAD=" .. quote(preload) or "",
    quote(arg[-1]), "spec/support/busted.lua --ignore-lua -o spec/support/dots.lua" }
  for _, word in ipairs(options) do words[#words + 1] = quote(word) end
  for _, word in ipairs(paths) do words[#words + 1] = quote(word) end
  local text, ok = run(table.concat(words, " "))
  local yes, no = text:match ".*%f[%d](%d+) passed, (%d+) failed\n"
  if not yes or (not ok and no == "0") then
    print "FAILED: busted ended early"
    no = (no or 0) + 1
  end
  count(yes or 0, no)
end

-- A Lua state that holds the specs of a hundred files is slow to collect: walk_spec takes 2 s
-- alone, and took 90 s behind the others.
local FILES = 20

local function in_parts(title, environment, paths)
  for first = 1, #paths, FILES do
    busted(title, environment, table.move(paths, first, math.min(first + FILES - 1, #paths), 1, {}))
  end
end

in_parts("core.so", "", single)
in_parts("core64.so", "DIFFUSION_PRECISION=double", double)

local kernels = io.open "spec/support/check_kernels.c"
if kernels and #arg == 0 and not preload then
  kernels:close()
  print "kernels"
  local _, ok = run "env -u MAKEFLAGS make -s check-kernels"
  count(ok and 1 or 0, ok and 0 or 1)
end

print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0)
