-- The whole matrix of spec/peers/schedulers.py: every combination of options, steps and start, and
-- combinations drawn from a seed that is new every day. Both builds of the core run it. For each class it
-- prints how the rows come out, then the refusals, the peer's defects and the failures. SEED= runs COUNT=
-- combinations of that seed alone, CLASS= the classes whose names begin so.
local path = arg[1]
if path then os.exit(dofile("spec/support/scheduler_rows.lua").report(path) == 0) end

local python, lua = os.getenv "PEERS" .. "/bin/python", os.getenv "LUA" or "lua5.4"
local seed, count, class = os.getenv "SEED", os.getenv "COUNT" or "2000", os.getenv "CLASS" or ""

local function run(command) return os.execute(command) == true end

-- Whether all rows that the peer makes are met, refused or a defect of the peer.
local function check(arguments)
  local file, agree = os.tmpname(), true
  if not run(("%s spec/peers/schedulers.py %s > %s"):format(python, arguments, file)) then
    error("spec/peers/schedulers.py " .. arguments .. " failed")
  end
  for _, precision in ipairs { "single", "double" } do
    print(("-- schedulers.py %s, %s precision here"):format(arguments, precision))
    io.stdout:flush()
    agree = run(("DIFFUSION_PRECISION=%s %s spec/peers/check_schedulers.lua %s"):format(precision, lua, file)) and agree
  end
  os.remove(file)
  return agree
end

local random = ("random %s %s %s"):format(seed or os.date "%Y%m%d", count, class)
local agree = seed ~= nil or check("all " .. class)
os.exit(check(random) and agree)
