-- Ctrl-C: at the prompt, in a pseudo-terminal, as often as it comes; in trainers, whatever
-- came before; and what it does afterwards.
local child = require "spec.support.child"

local folder
setup(function()
  folder = child.folder()
  local cli = io.popen "pwd":read "l" .. "/lua/diffusion/cli.lua"
  child.write(folder .. "/cli.lua", ("arg[0] = 'diffusion' dofile %q"):format(cli))
end)
teardown(function() child.remove(folder) end)

-- The command in a pseudo-terminal: `type` sends keys, `wait` reads on until a text comes.
local function terminal(suffix)
  local log, keys = folder .. "/log", folder .. "/keys"
  os.remove(log)
  os.remove(keys)
  assert(os.execute("mkfifo " .. child.quote(keys)))
  local command = child.command(folder .. "/cli.lua", { folder = folder, env = "TERM=dumb" }) .. (suffix or "")
  os.execute(("ulimit -t 60; script -qfec %s %s <%s >/dev/null 2>&1 &"):format(child.quote(command), child.quote(log),
    child.quote(keys)))
  local pipe, at = assert(io.open(keys, "r+")), 1 -- a reader, too: no SIGPIPE where the other end is gone
  local t = {}
  function t.type(text) assert(pipe:write(text)) pipe:flush() end
  function t.wait(text)
    local seen
    for _ = 1, 1000 do
      seen = child.read(log) or ""
      local _, stop = seen:find(text, at, true)
      if stop then
        at = stop + 1
        return
      end
      os.execute "sleep 0.02"
    end
    error(("%q never came after %q"):format(text, seen:sub(at)))
  end
  function t.close() pipe:close() end
  return t
end

local function prompts(suffix)
  if not (child.has "script" and child.has "mkfifo") then return pending "no script(1) here" end
  local t = terminal(suffix)
  t.wait "\n> "
  t.type "kept = 41\n"
  t.wait "\n> "
  for k = 1, 3 do
    t.type(("print('runs', %d) while true do end\n"):format(k))
    t.wait(("runs\t%d"):format(k))
    t.type "\3"
    t.wait "interrupted!"
    t.wait "\n> "
  end
  t.type "kept = 0"
  t.wait "kept = 0"
  t.type "\3"
  t.wait "> "
  t.type "more(\n"
  t.wait ">> "
  t.type "\3"
  t.wait "\n> "
  t.type "print('kept is', kept + 1)\n"
  t.wait "kept is\t42"
  return t
end

describe("the prompt", function()
  it("goes on after every Ctrl-C, with its values; at a line it drops the line", function()
    local t = prompts()
    t.wait "\n> "
    -- the interpreter's readline, where it has one, edits lines: a key to the left
    local edits = (io.popen("ldd " .. child.quote(arg[-1]) .. " 2>/dev/null"):read "a"):find "readline"
    t.type(edits and "print(12)\27[D0\n" or "print(120)\n")
    t.wait "120"
    t.wait "\n> "
    t.type "\4"
    t.close()
  end)

  it("does so without readline, too", function()
    local t = prompts " | cat"
    t.wait "\n> "
    t.type "\4"
    t.close()
  end)

  it("gets a trainer's report when Ctrl-C stops it, after others", function()
    local t = prompts()
    for _, line in ipairs {
      "m = d.mlp { hidden = 4, depth = 1 } opt = d.adamw(m)",
      "o = d.objective { process = d.process { schedule = d.schedule.cosine { T = 4 } } }",
      "b = d.data.toy.moons(64):batches { size = 4, steps = 1000000 }",
    } do
      t.wait "\n> "
      t.type(line .. "\n")
    end
    for k = 1, 2 do
      t.wait "\n> "
      t.type(("n = 0 print(d.trainer { model = m, opt = opt, objective = o, batches = b, quiet = true, "
        .. "on_step = function() n = n + 1 if n == 3 then print('third', %d) end end }:run())\n"):format(k))
      t.wait(("third\t%d"):format(k))
      t.type "\3"
      t.wait "interrupted after step "
    end
    t.wait "\n> "
    t.type "print('steps are', b.step == opt.steps, kept)\n"
    t.wait "steps are\ttrue\t41"
    t.type "\4"
    t.close()
  end)
end)

describe("a coroutine at the prompt", function()
  it("is ended by the second Ctrl-C", function()
    local t = prompts()
    if not t then return end
    for k, how in ipairs { "coroutine.wrap(%s)()", "print(coroutine.resume(coroutine.create(%s)))" } do
      t.wait "\n> "
      t.type(how:format(("function() print('runs', %d) while true do end end"):format(k)) .. "\n")
      t.wait(("runs\t%d"):format(k))
      t.type "\3"
      os.execute "sleep 0.1"
      t.type "\3"
      t.wait "interrupted!"
    end
    t.wait "\n> "
    t.type "for k in coroutine.wrap(function() coroutine.yield(kept) end) do print('still', k) end\n"
    t.wait "still\t41"
    t.wait "\n> "
    t.type "coroutine.wrap(function() error 'its own' end)()\n"
    t.wait "its own"
    t.wait "\n> "
    t.type "\4"
    t.close()
  end)

  it("is ended in a trainer's step by the third, and that step isn't kept", function()
    local t = prompts()
    if not t then return end
    for _, line in ipairs {
      "m = d.mlp { hidden = 4, depth = 1 } opt = d.adamw(m)",
      "b = d.data.toy.moons(64):batches { size = 4, steps = 1000000 } n = 0 hangs = true",
      "function o(m, x) n = n + 1 if n == 3 and hangs then print 'hangs' while true do end end "
        .. "return d.mse(m(x, 1), x) end",
      "tr = d.trainer { model = m, opt = opt, objective = o, batches = b, quiet = true, checkpoint = 'c' }",
      "print(tr:run())",
    } do
      t.wait "\n> "
      t.type(line .. "\n")
    end
    t.wait "\nhangs"
    for _ = 1, 3 do
      t.type "\3"
      os.execute "sleep 0.1"
    end
    t.wait "interrupted in step 3"
    t.wait "\n> "
    t.type "print('steps are', opt.steps, b.step, io.open 'c', d.record(o, m, d.ones(1, 2)):numel())\n"
    t.wait "steps are\t2\t3\tnil\t1"
    t.wait "\n> "
    t.type "\4"
    t.close()
  end)
end)

-- Two trainings of a million steps, each struck in its third, and before or after them as arg says.
local training = [[
local d = require "diffusion"
local pid = io.open "/proc/self/stat":read "n"
local function strike() io.popen("kill -INT " .. pid):close() end
local process = d.process { schedule = d.schedule.cosine { T = 4 } }
local function trained(path)
  local model = d.mlp { hidden = 4, depth = 1 }
  local batches = d.data.toy.moons(64):batches { size = 4, steps = 1000000, seed = 1 }
  print(d.trainer { model = model, opt = d.adamw(model), objective = d.objective { process = process },
    batches = batches, quiet = true, checkpoint = path,
    on_step = function(step) if step == 3 then strike() end end }:run())
  print(batches.step)
end
if arg[1] == "early" then print(pcall(function() strike() while true do end end)) end
trained "a.safetensors"
trained "b.safetensors"
if arg[1] == "last" then
  io.stdout:flush()
  pcall(strike)
  strike()
end
]]

describe("a trainer", function()
  local function run(how)
    local inside = folder .. "/" .. how
    os.execute("mkdir " .. inside)
    child.write(inside .. "/training.lua", training)
    local pipe = assert(io.popen("exec 2>&1; " .. child.command(inside .. "/training.lua",
      { folder = inside, arguments = { how } })))
    local text = pipe:read "a"
    local _, what, code = pipe:close()
    return text, what .. " " .. code
  end
  local stopped = "nil\tinterrupted after step 3; %s.safetensors holds it, and the same command goes on from there\n3\n"
  local both = stopped:format "a" .. stopped:format "b"

  it("is stopped by Ctrl-C after another that was, and after any other Ctrl-C", function()
    local text, how = run "often"
    assert.equal(both, text)
    assert.equal("exit 0", how)
    text, how = run "early"
    assert.equal("false\tinterrupted!\n" .. both, (text:gsub("\t[^\t\n]*: interrupted!", "\tinterrupted!")))
    assert.equal("exit 0", how)
  end)

  it("leaves Ctrl-C to the host program when it is done", function()
    local text, how = run "last"
    assert.equal(both, text)
    assert.equal("signal 2", how)
  end)
end)
