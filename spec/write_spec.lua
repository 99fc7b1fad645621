-- Writing. Only regular files are replaced, completely or not at all; pipes and devices
-- stay as they are. No signal ends the program. Temporary files of killed processes are
-- removed.
local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"

local folder
before_each(function() folder = child.folder() end)
after_each(function() child.remove(folder) end)

local function at(name) return folder .. "/" .. name end

local function sh(command, ...)
  local pipe <close> = assert(io.popen(("cd %s && { %s; }"):format(child.quote(folder), command:format(...))))
  return (pipe:read "a":gsub("\n$", ""))
end

local function kind(name) return sh("stat -c %%F %s", name) end

local function refused(part, done, message)
  assert.is_nil(done)
  assert(message:find(part, 1, true), message)
end

-- A reader of a pipe; collect() gives what came.
local function reader(name)
  sh("test -p %s || mkfifo %s", name, name)
  local pipe = assert(io.popen([[exec timeout 20 sh -c 'exec cat <"$0"' ]] .. child.quote(at(name))))
  return function()
    local text = pipe:read "a"
    pipe:close()
    return text
  end
end

-- Runs a script in another process, in the folder.
local function run(script, before)
  child.write(at "inner.lua", "local d = require 'diffusion' local core = require 'diffusion.core'\n" .. script)
  child.write(at "outer.lua", ("local _, _, code = os.execute(%q) print(code)"):format(
    (before or "") .. child.command(at "inner.lua", { folder = folder })))
  return (child.run(at "outer.lua", { folder = folder }))
end

local picture = d.zeros(2, 2, 1)

-- Every writer of whole files, called with a path.
local writers = {
  { "d.save", function(path) return d.save(path, { x = d.ones(3) }) end },
  { "model:save", function(path) return d.mlp { dim = 2, hidden = 4, depth = 1 }:save(path) end },
  { "checkpoint:save",
    function(path) return d.checkpoint { path = path, model = d.mlp { dim = 2, hidden = 4, depth = 1 } }:save() end },
  { "d.image.save", function(path) return d.image.save(path, picture) end },
  { "d.image.animate", function(path) return d.image.animate(path, { picture, picture }) end },
  { "d.plot", function(path) return d.plot.lines({ { "a", { 1, 2 } } }, { file = path }) end, "gnuplot" },
}

for _, writer in ipairs(writers) do
  local name, write, needs = table.unpack(writer)
  if not needs or child.has(needs) then
    describe(name, function()
      it("writes into a pipe, which stays one", function()
        local collect = reader "pipe.png"
        assert.is_true(write(at "pipe.png"))
        local through = collect()
        assert.equal("fifo", kind "pipe.png")
        assert.is_true(write(at "file.png"))
        assert.equal(#child.read(at "file.png"), #through)
        assert(#through > 0)
      end)

      it("replaces what a link leads to, and keeps its permissions", function()
        sh "mkdir real && echo old >real/a.png && chmod 604 real/a.png && ln -s real/a.png link.png"
        sh "ln -s link.png second.png"
        assert.is_true(write(at "second.png"))
        assert.equal("symbolic link", kind "link.png")
        assert.equal("symbolic link", kind "second.png")
        assert.equal("604", sh "stat -c %%a real/a.png")
        assert(#child.read(at "real/a.png") > 20)
        assert.equal("a.png", sh "ls real")
      end)

      it("makes what a dangling link leads to", function()
        sh "mkdir real && ln -s real/new.png link.png && ln -s nowhere/new.png lost.png"
        assert.is_true(write(at "link.png"))
        assert.equal("symbolic link", kind "link.png")
        assert.equal("regular file", kind "real/new.png")
        refused("lost.png", write(at "lost.png"))
        assert.equal("symbolic link", kind "lost.png")
      end)

      it("refuses folders, and leaves nothing there", function()
        sh "mkdir a.png"
        refused("a folder", write(at "a.png"))
        sh "rmdir a.png"
        assert.is_nil((write(at "nowhere/a.png")))
        assert.equal("", sh "ls")
      end)
    end)
  end
end

describe("a file that is written", function()
  it("has a name that a folder hasn't", function()
    sh "echo old >a && mkdir b && ln -s nowhere/ c"
    for name, part in pairs { ["new/"] = "a folder's", ["a/"] = "Not a directory", b = "it is a folder",
                              ["b/"] = "it is a folder", c = "a folder's" } do
      refused(part, core.write_file(at(name), { "x" }))
    end
    refused("No such file", core.write_file("", { "x" }))
    assert.equal("a\nb\nc", sh "ls")
    assert.equal("old\n", child.read(at "a"))
  end)

  it("isn't at the end of a circle of links", function()
    sh "ln -s b a && ln -s a b"
    assert.is_nil((core.write_file(at "a", { "x" })))
    assert.equal("symbolic link", kind "a")
  end)

  it("is no socket", function()
    if not child.has "python3" then return pending "python3, which makes the socket, is not here" end
    sh [[env -u LD_PRELOAD python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")']]
    refused("a socket", core.write_file(at "s", { "x" }))
    assert.equal("socket", kind "s")
  end)

  it("goes through devices", function()
    -- a node of our own: what went wrong with the system's would outlast the spec
    local made = os.execute(("{ mknod '%s' c 1 3 && : >'%s'; } 2>/dev/null"):format(at "device", at "device"))
    if not made then return pending "no device can be made here" end
    sh "ln -s device link"
    for _, name in ipairs { "device", "link" } do assert.is_true(core.write_file(at(name), { "x" })) end
    assert.equal("character special file", kind "device")
    assert.equal("symbolic link", kind "link")
  end)

  it("is no pipe that nobody reads", function()
    sh "mkfifo pipe"
    refused("no process reads", core.write_file(at "pipe", { "x" }))
    assert.equal("fifo", kind "pipe")
  end)

  it("keeps its permissions, and another's follow those of new files", function()
    for _, mode in ipairs { "400", "600", "640", "755", "666" } do
      sh("rm -f a && echo old >a && chmod %s a", mode)
      assert.is_true(core.write_file(at "a", { "new" }))
      assert.equal(mode, sh "stat -c %%a a")
    end
    assert.matches("^640\n", run("assert(core.write_file('new', { 'x' })) os.execute 'stat -c %a new'", "umask 27; "))
  end)
end)

describe("signals", function()
  local cases = {
    { "a limit on a file's size", "ulimit -f 4; ", "core.write_file('f', { ('x'):rep(100000) })", "File too large" },
    { "a reader that left", "mkfifo f; (sleep 0.1 <f) & ",
      "core.write_file('f', { ('x'):rep(1000000) })", "Broken pipe" },
    { "a limit on a log", "ulimit -f 4; ", "core.log('f', true):write(('x'):rep(100000))", "File too large" },
    { "a log's reader that left", "mkfifo f; (sleep 0.1 <f) & ",
      "core.log('f', true):write(('x'):rep(1000000))", "Broken pipe" },
  }
  for _, case in ipairs(cases) do
    local name, before, call, part = table.unpack(case)
    it("don't come of " .. name, function()
      local text = run(("print(%s) print 'still here'"):format(call), before)
      assert(text:find("^nil\tf: write: " .. part), text)
      assert.matches("still here\n0\n$", text)
    end)
  end

  it("don't come of a plot that is too large to be told", function()
    if not child.has "gnuplot" then return pending "no gnuplot here" end
    local text = run([[
local y = {}
for i = 1, 5000 do y[i] = i / 7 end
print(d.plot.lines({ { "a", y } }, { file = "f.png" }))
print "still here"]], "ulimit -f 4; ")
    assert(text:find("^nil\t[^\n]*File too large"), text)
    assert.matches("still here\n0\n$", text)
    assert.equal("inner.lua\nouter.lua", sh "ls")
  end)

  it("leave the old file whole", function()
    sh "echo old >f"
    run("print(core.write_file('f', { ('x'):rep(100000) }))", "ulimit -f 4; ")
    assert.equal("old\n", child.read(at "f"))
    assert.equal("f\ninner.lua\nouter.lua", sh "ls")
  end)

  it("that others send are still theirs", function()
    assert.equal("13\n", run [[
assert(core.write_file('f', { 'x' }))
os.execute("kill -PIPE " .. io.open "/proc/self/stat":read "n")
print "never"]])
  end)
end)

describe("a pipe that nobody writes into", function()
  it("is read by nobody, and none waits for it", function()
    local text = run([[
local model = d.mlp { dim = 2, hidden = 4, depth = 1 }
local process = d.process { schedule = d.schedule.cosine { T = 10 } }
local batches = d.data.set { x = d.randn(4, 2) }:batches { size = 2, steps = 1 }
print(d.load_model "f")
print(model:load "f")
print(d.load("f", { copy = true }))
print(d.checkpoint { path = "f", model = model }:load())
print(d.trainer { model = model, opt = d.adamw(model), batches = batches, checkpoint = "f", quiet = true,
                  objective = d.objective { process = process } }:run())
print(d.sampler.steps { model = model, process = process, shape = { 1, 2 }, steps = 2 }:load "f")
print(d.image.info "f")
print(d.data.arrays "f")
os.execute "mkdir set && mv f set/f.png"
print(d.data.folder "set")]], "mkfifo f; exec timeout 20 sh -c " .. child.quote(
      child.command(at "inner.lua", { folder = folder })) .. "; ")
    local count = 0
    for line in text:gmatch "nil\t[^\n]*" do
      count = count + 1
      assert(line:find("not a regular file", 1, true), line)
    end
    assert.equal(9, count, text)
  end)
end)

describe("side files", function()
  local function left(name, days)
    child.write(at(name), "half")
    if days then sh("touch -d '%s days ago' %s", days, name) end
  end

  it("of a kill are removed by the next save of that name, a day later", function()
    local pid = io.open "/proc/self/stat":read "n"
    local old = { "a.png.4321-0", "a.png.4321-17", ("a.png.%d-0"):format(pid), "a.png.1-0", "a.png.32-1", "a.png.1-32" }
    for _, name in ipairs(old) do left(name, 2) end
    assert.is_true(d.image.save(at "a.png", picture))
    assert.equal("a.png", sh "ls")
    for _, name in ipairs(old) do left(name) end
    assert.is_true(d.image.save(at "a.png", picture))
    for _, name in ipairs(old) do assert.equal("half", child.read(at(name))) end
  end)

  it("that are locked are being written, however old", function()
    if not child.has "flock" then return pending "no flock(1) here" end
    left("a.4321-0", 2)
    left("a.4322-0", 2)
    child.write(at "save.lua", ("require 'diffusion.core'.write_file(%q, { 'x' })"):format(at "a"))
    sh("flock a.4321-0 sh -c %s", child.quote(child.command(at "save.lua")))
    assert.equal("a\na.4321-0\nsave.lua", sh "ls")
  end)

  it("are of that name and no other's", function()
    local others = { "a.png", "b.4321-0", "a.4321-0.old", "a.4321-", "a.4321", "a.-0", "a.04321-0", "a.4321-00",
                     "a.2024-05", "a.2024-11", "a.12-31", "a.31-12", "a.1-1", "a.20240501-1", "a.x-1",
                     "aa.4321-0", "a.4321-0x", "a.99999999999-0" }
    for _, name in ipairs(others) do left(name, 2) end
    sh "mkdir a.4321-1 && ln -s b.4321-0 a.4321-2 && ln a.png a.4321-3"
    sh "touch -h -d '2 days ago' a.4321-1 a.4321-2"
    assert.is_true(core.write_file(at "a", { "x" }))
    for _, name in ipairs(others) do assert.equal("half", child.read(at(name)), name) end
    for i, what in ipairs { "directory", "symbolic link", "regular file" } do
      assert.equal(what, kind("a.4321-" .. i))
    end
  end)
end)

describe("a bad path", function()
  local model = d.mlp { dim = 2, hidden = 4, depth = 1 }

  -- All that takes a path, called with one.
  local function takers(bad)
    local process = d.process { schedule = d.schedule.cosine { T = 10 } }
    local ran = d.sampler.steps { model = model, process = process, shape = { 1, 2 }, steps = 2 }
    local ema = d.ema(model, { decay = { "power" } }):update()
    return {
      save = function() return (d.save(bad, {})) end,
      load = function() return (d.load(bad)) end,
      load_model = function() return (d.load_model(bad)) end,
      load_pipeline = function() return (d.load_pipeline(bad)) end,
      hub_load = function() return (d.hub.load(bad)) end,
      hub_cache = function() return (d.hub.load("x", { cache = bad })) end,
      hub_vae = function() return (d.hub.load("x", { vae = bad })) end,
      hub_save = function() return (d.hub.save(bad, model)) end,
      hub_scheduler = function() return (d.hub.scheduler(bad)) end,
      model_save = function() return (model:save(bad)) end,
      model_load = function() return (model:load(bad)) end,
      checkpoint = function() return (d.checkpoint { path = bad, model = model }) end,
      image_save = function() return (d.image.save(bad, picture)) end,
      image_load = function() return (d.image.load(bad)) end,
      image_info = function() return (d.image.info(bad)) end,
      animate = function() return (d.image.animate(bad, { picture })) end,
      plot = function() return (d.plot.lines({ { "a", { 1, 2 } } }, { file = bad })) end,
      log = function() return (d.trainer { model = model, objective = print, opt = 1, batches = 1, log = bad }) end,
      trainer = function()
        return (d.trainer { model = model, objective = print, opt = 1, batches = 1, checkpoint = bad })
      end,
      idx = function() return (d.data.idx(bad)) end,
      labels = function() return (d.data.idx(at "x", bad)) end,
      npy = function() return (d.data.npy(bad)) end,
      arrays = function() return (d.data.arrays(bad)) end,
      folder = function() return (d.data.folder(bad)) end,
      cifar10 = function() return (d.data.cifar10(bad)) end,
      fashion = function() return (d.data.fashion_mnist(bad)) end,
      snapshot = function() return (ema:snapshot(bad)) end,
      posthoc = function() return (d.posthoc_ema({ bad }, { sigma_rel = 0.1 })) end,
      run_save = function() return (ran:save(bad)) end,
      run_load = function() return (ran:load(bad)) end,
    }
  end

  local function said_by(name, f, words)
    local fine, message = pcall(f)
    assert(not fine, name .. " took it")
    assert(message:find(words, 1, true), name .. ": " .. message)
    assert.is_nil(message:find("lua/diffusion", 1, true), message)
  end

  it("with a byte 0 is refused by whatever takes paths", function()
    local bad = at "f\0.png"
    local words = ("byte %d of this one is"):format(bad:find("\0", 1, true))
    for name, f in pairs(takers(bad)) do said_by(name, f, words) end
    for name, f in pairs {
      map = function() return (core.map(bad)) end,
      write_file = function() return (core.write_file(bad, { "x" })) end,
      list = function() return (core.list(bad)) end,
      core_log = function() return (core.log(bad)) end,
      place = function() return (core.place(bad)) end,
    } do
      said_by(name, f, words)
    end
    said_by("asset", function() return (d.load_model "digits\0x") end, "byte 7 of this one is")
    assert.equal("", sh "ls")
  end)

  it("that is empty is refused by whatever takes paths", function()
    for name, f in pairs(takers "") do said_by(name, f, "a path expected, got an empty string") end
    assert.equal("", sh "ls")
  end)
end)

describe("the trainer's log", function()
  local script = [[
d.manual_seed(1)
local model = d.mlp { dim = 2, hidden = 4, depth = 1 }
local process = d.process { schedule = d.schedule.cosine { T = 10 } }
local report = d.trainer { model = model, objective = d.objective { process = process }, opt = d.adamw(model),
  batches = d.data.toy.moons(40):batches { size = 4, steps = STEPS }, log = "log.csv", checkpoint = "run", quiet = true
}:run()
print(report.step)
]]

  it("goes into a pipe, and on into it after a resume", function()
    local collect = reader "log.csv"
    assert.equal("3\n0\n", run((script:gsub("STEPS", "3"))))
    assert.matches("^step,loss,lr,norm\n1,[^\n]+\n2,[^\n]+\n3,[^\n]+\n$", collect())
    collect = reader "log.csv"
    assert.equal("5\n0\n", run((script:gsub("STEPS", "5"))))
    assert.matches("^step,loss,lr,norm\n4,[^\n]+\n5,[^\n]+\n$", collect())
    assert.equal("fifo", kind "log.csv")
  end)

  it("that can't grow stops the training with what it has", function()
    sh "mkfifo log.csv"
    local text = run((script:gsub("STEPS", "200")), "(head -c 100 >/dev/null <log.csv) & ")
    assert.matches("trainer: the log log.csv: write: Broken pipe", text)
    assert.matches("\n1\n$", text)
    local _, metadata = assert(d.load(at "run"))
    assert.matches('"step":%d+', metadata.facts)
  end)
end)
