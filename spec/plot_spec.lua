-- Plots: the input of gnuplot, recorded by a program of that name. If gnuplot is
-- installed, its images are checked too. Plots that cannot be drawn give an error.
local d = require "diffusion"
local child = require "spec.support.child"
local quoted = require "diffusion.plot.gnuplot".quoted

local folder
setup(function()
  folder = child.folder()
  child.write(folder .. "/gnuplot", "#!/bin/sh\ncat > '" .. folder .. "/told'\n")
  os.execute("chmod +x " .. child.quote(folder .. "/gnuplot"))
end)
teardown(function() child.remove(folder) end)

local process = [[
local d = require "diffusion"
local process = d.process { schedule = d.schedule.cosine { T = 100 }, predict = "x0" }
local function run(n, D, sampler)
  local function zero(xt) return xt * 0 end
  return d.sampler.steps { model = zero, process = process, shape = D and { n, D } or { n },
                           sampler = sampler or "ddim", steps = 4, seed = 1,
                           init = sampler == "ddim_inversion" and d.ones(n, D) or nil }
end
]]

-- The input of gnuplot from a script.
local function told(script)
  child.write(folder .. "/script.lua", process .. script)
  local out, code = child.run(folder .. "/script.lua", { env = ("PATH=%s:\"$PATH\""):format(child.quote(folder)) })
  assert(code == 0, out)
  return child.read(folder .. "/told"), out
end

-- The numbers of a block, a list a line.
local function block(text, name)
  local rows = {}
  for line in assert(text:match("$" .. name .. " << EOD\n(.-)EOD\n"), name):gmatch "([^\n]*)\n" do
    local row = {}
    for word in line:gmatch "%S+" do row[#row + 1] = tonumber(word) or word end
    rows[#rows + 1] = row
  end
  return rows
end

local function fails(sentence, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.truthy(message:find(sentence, 1, true), message)
end

local rows = { { 10, 0.1, nil, 20 }, { 20, 0.025, 2, 40 }, { 40, 0.00625, 2, 80 } }

describe("d.plot.order", function()
  local script = [[
local rows = { { 10, 0.1, nil, 20 }, { 20, 0.025, 2, 40 }, { 40, 0.00625, 2, 80 } }
assert(d.plot.order(%s))]]

  it("shows errors against evaluations or steps, on log axes", function()
    local text = told(script:format "{ { \"it's\", rows }, { 'b', rows } }, { title = 'T' }")
    assert.same({ { 20, 0.1 }, { 40, 0.025 }, { 80, 0.00625 } }, block(text, "d1"))
    assert.same(block(text, "d1"), block(text, "d2"))
    assert.truthy(text:find("set logscale xy", 1, true))
    assert.truthy(text:find("title 'it''s'", 1, true))
    assert.truthy(text:find("evaluations of the model", 1, true))
    text = told(script:format "rows, { x = 'steps' }")
    assert.same({ { 10, 0.1 }, { 20, 0.025 }, { 40, 0.00625 } }, block(text, "d1"))
  end)

  it("has guides that fall as their orders, within the picture", function()
    local text = told(script:format "rows, { guides = { 1, 2.5 } }")
    local low, high = text:match "set xrange %[(%S+):(%S+)%]"
    local least, most = text:match "set yrange %[(%S+):(%S+)%]"
    for i, order in ipairs { 1, 2.5 } do
      local a, b = table.unpack(block(text, "g" .. i))
      assert.near(order, math.log(a[2] / b[2]) / math.log(b[1] / a[1]), 1e-6)
      assert.near(tonumber(low), a[1], 1e-6)
      assert.near(tonumber(most), a[2], 1e-6)
      assert(b[1] < tonumber(high) and b[2] > tonumber(least))
      assert.truthy(text:find(("set label 'order %g'"):format(order), 1, true))
    end
    assert.is_nil(told(script:format "rows, { guides = {} }"):find("order", 1, true))
  end)

  it("takes what d.check.order returns", function()
    local mixture = d.oracle.mixture { means = { { -1 }, { 1 } }, std = 0.3 }
    local _, found = d.check.order("heun", mixture, { samples = 4, steps = { 5, 10 }, exact = 50, quiet = true })
    if child.has "gnuplot" then
      local file = folder .. "/order.png"
      assert(d.plot.order({ { "heun", found } }, { file = file, width = 300, height = 200 }))
      assert.same({ 200, 300, 3 }, assert(d.image.load(file)):shape())
    end
  end)

  it("says what it can't show", function()
    local order = d.plot.order
    fails("a list of series expected, got 5", order, 5)
    fails("no series to draw", order, {})
    fails("series 1 is 'heun', not {name, ...}", order, { "heun" })
    fails("'heun' must have rows {steps, error, order, evaluations} as of d.check.order, got none", order,
      { { "heun", {} } })
    fails("'heun' must have rows {steps, error, order, evaluations} as of d.check.order, got 2.5", order,
      { { "heun", 2.5 } })
    fails("row 1 of 'heun' is 3, not {steps", order, { { "heun", { 3 } } })
    for shown, bad in pairs { ["0"] = 0, ["-0.5"] = -0.5, inf = math.huge, nan = 0 / 0, ["'x'"] = "x" } do
      fails("error of row 2 of 'error' is " .. shown .. "; log axes show finite numbers above 0", order,
        { rows[1], { 20, bad, nil, 40 } })
    end
    fails("evaluations of row 1 of 'error' is nil; log axes show finite numbers above 0, and x = \"steps\" needs none",
      order, { { 10, 0.1 } })
    fails("did you mean 'steps'?", order, rows, { x = "stpes" })
    fails("did you mean 'guides'?", order, rows, { guide = {} })
    fails("guides are orders above 0, got -1", order, rows, { guides = { -1 } })
    fails("should end in .png or .svg", order, rows, { file = "order.gif" })
  end)
end)

describe("d.plot.trajectories", function()
  it("steps a run to its end and shows x along its t", function()
    local text, out = told [[
local r = run(3, 1)
assert(d.plot.trajectories(r, { count = 2 }))
assert(r.i == 4 and r() == nil)
local other = run(3, 1)
for step in other do print(step.t, step.xt[1][1], step.s, step.x[1][1]) end]]
    local paths = block(text, "p1")
    assert.equal(2 * (5 + 1), #paths) -- two paths of five points, each with an empty row
    assert.same({}, paths[6])
    local k = 0
    for t, xt, s, x in out:gmatch "(%S+)\t(%S+)\t(%S+)\t(%S+)\n" do
      k = k + 1
      assert.same({ tonumber(t), tonumber(s) }, { paths[k][1], paths[k + 1][1] })
      assert.near(tonumber(xt), paths[k][2], 1e-6)
      assert.near(tonumber(x), paths[k + 1][2], 1e-6)
    end
    assert.equal(4, k)
    local first, last = text:match "set xrange %[(%S+):(%S+)%]"
    assert(tonumber(first) > 100 and tonumber(last) < 0, "the later time is left")
    assert.truthy(text:find("set xlabel 't'", 1, true))
  end)

  it("goes on from where a run stands, and up where it walks up", function()
    local text = told "local r = run(2) r() assert(d.plot.trajectories(r))"
    assert.equal(75, block(text, "p1")[1][1])
    text = told "assert(d.plot.trajectories(run(2, 1, 'ddim_inversion')))"
    local times = {}
    for k = 1, 5 do times[k] = block(text, "p1")[k][1] end
    assert.same({ 0, 25, 50, 75, 100 }, times)
  end)

  it("doesn't step a run that it can't show", function()
    local p = d.process { schedule = d.schedule.cosine { T = 4 }, predict = "x0" }
    local run = d.sampler.steps { model = function(xt) return xt end, process = p, shape = { 3 } }
    fails("data {n,2}", d.plot.trajectories, run, { data = d.zeros(3, 2) })
    fails("don't fit", d.plot.trajectories, { { "a", run }, { "b", { d.zeros(3, 2), d.zeros(3, 2) } } })
    assert.equal(0, run.i)
  end)

  it("shows curves in the plane with their starts and ends, before the data", function()
    local text = told [[
local a, b, c = d.tensor { { 1, 2 }, { 3, 4 } }, d.tensor { { 5, 6 }, { 7, 8 } }, d.tensor { { 9, 10 }, { 11, 0 / 0 } }
assert(d.plot.trajectories({ { "one", { a, b, c } }, { "two", { c, a } } }, { data = d.tensor { { 20, -30 } } }))]]
    local function shown(name)
      local lines = {}
      for i, row in ipairs(block(text, name)) do lines[i] = table.concat(row, " ") end
      return table.concat(lines, ";")
    end
    assert.equal("1 2;5 6;9 10;;3 4;7 8;11 nan;", (shown "p1":gsub("%-nan", "nan")))
    assert.equal("1 2;3 4", shown "s1")
    assert.equal("1 2;3 4", shown "e2")
    assert.equal("20 -30", shown "data")
    local left, right = text:match "set xrange %[(%S+):(%S+)%]"
    local low, high = text:match "set yrange %[(%S+):(%S+)%]"
    assert(tonumber(left) < 1 and tonumber(right) > 20 and tonumber(low) < -30 and tonumber(high) > 10)
    assert.truthy(text:find("set size ratio -1", 1, true))
    assert.truthy(text:find("set multiplot layout 1,2", 1, true))
  end)

  it("counts steps where tensors are listed", function()
    local text = told "assert(d.plot.trajectories { d.tensor { 1, 2 }, d.tensor { 3, 4 } })"
    assert.same({ { 0, 1 }, { 1, 3 }, {}, { 0, 2 }, { 1, 4 }, {} }, block(text, "p1"))
    assert.truthy(text:find("set xlabel 'step'", 1, true))
  end)

  it("is a picture", function()
    if not child.has "gnuplot" then return end
    for k, D in ipairs { 1, 2 } do
      local file = ("%s/paths%d.png"):format(folder, k)
      assert(d.plot.trajectories({ d.randn(20, D), d.randn(20, D) }, { file = file, width = 300, height = 200 }))
      local picture = assert(d.image.load(file))
      assert.same({ 200, 300, 3 }, picture:shape())
    end
  end)

  it("says what it can't show", function()
    local paths, x = d.plot.trajectories, d.zeros(4, 2)
    local p = d.process { schedule = d.schedule.cosine { T = 4 }, predict = "x0" }
    local function run(shape)
      return d.sampler.steps { model = function(xt) return xt end, process = p, shape = shape, sampler = "ddim" }
    end
    local done = run { 2, 2 }
    done:finish()
    fails("the run of '' has taken all its steps", paths, done)
    fails("paths of '' are of tensors {B,1} or {B,2}, got [2,3]; two of more coordinates are x:narrow(2, first, 2)",
      paths, run { 2, 3 })
    fails("'a' are of tensors {B,1} or {B,2}, got [0,2]", paths, { { "a", { d.zeros(0, 2), d.zeros(0, 2) } } })
    fails("a list of series expected, got a tensor [4,2]", paths, x)
    fails("no series to draw", paths, {})
    fails("series 1 is 5, not {name, ...}", paths, { 5 })
    fails("'a' must be a run or a list of tensors, one a step, got a tensor [4,2]", paths, { { "a", x } })
    fails("a path has two tensors or more, 'a' has 1", paths, { { "a", { x } } })
    fails("'' must be a run or tensors {B,1} or {B,2}, but number 2 is 5", paths, { x, 5 })
    fails("x 2 of '' is [3,2] but the first [4,2]", paths, { x, d.zeros(3, 2) })
    fails("paths of {B,1} and of {B,2} don't fit into one picture", paths,
      { { "a", { x, x } }, { "b", { d.zeros(4), d.zeros(4) } } })
    fails("runs go along t and lists of tensors along steps", paths,
      { { "a", run { 4 } }, { "b", { d.zeros(4), d.zeros(4) } } })
    fails("no point of these paths is finite", paths, { x / 0, x / 0 })
    fails("data {n,2} is drawn behind paths in the plane, got a tensor [4,2] behind paths {B,1}", paths,
      { d.zeros(4), d.zeros(4) }, { data = x })
    fails("got a tensor [4] behind paths {B,2}", paths, { x, x }, { data = d.zeros(4) })
    fails("integer in [1, inf) expected, got 0", paths, { x, x }, { count = 0 })
    fails("did you mean 'count'?", paths, { x, x }, { coutn = 3 })
  end)
end)

describe("several panels", function()
  it("have a title each, and one above them all", function()
    local text = told "d.plot.points({ { 'a', d.zeros(1, 2) }, { 'b', d.zeros(1, 2) } }, { title = 'both' })"
    assert.truthy(text:find("set multiplot layout 1,2 title 'both'\nset title 'a'", 1, true))
    text = told "d.plot.points({ { 'a', d.zeros(1, 2) } }, { title = 'it' })"
    assert.truthy(text:find("set title 'it'\n", 1, true))
  end)
end)

describe("text in a plot", function()
  -- The texts of an SVG, without its numbers.
  local function texts(file)
    local out = {}
    local letters = { amp = "&", lt = "<", gt = ">" }
    for text in assert(child.read(file)):gmatch "<text>(.-)</text>" do
      if not text:find "^ ?%-?[%d.e-]+$" then out[#out + 1] = text:gsub("&(%l+);", letters) end
    end
    return out
  end

  local function has(list, text)
    for _, t in ipairs(list) do if t == text then return true end end
    error(("no %q among %s"):format(text, table.concat(list, " | ")))
  end

  it("is one line in a legend", function()
    local text = told "d.plot.lines({ { 'of two \\n lines\\r\\n', { 1, 2 } } }, { title = 'two\\nlines' })"
    assert.truthy(text:find("title 'of two lines '", 1, true), text)
  end)

  it("is what it was, whatever bytes it has", function()
    if not child.has "gnuplot" then return pending "no gnuplot here" end
    local svg, lines = folder .. "/bytes.svg", {}
    for byte = 1, 255 do lines[byte] = ("<%s>"):format(string.char(byte)) end
    assert(d.plot.lines({ { "'''a'' '", { 1, 2 } } }, { file = svg, title = table.concat(lines, ";") }))
    local list = texts(svg)
    has(list, "'''a'' '")
    local whole = table.concat(list, "\n")
    for byte = 1, 255 do
      local c = string.char(byte)
      local seen = byte >= 32 and byte < 127 and c or c == "\t" and " " or (c == "\n" or c == "\r") and "\n"
        or ("\\x%02x"):format(byte)
      assert.truthy(whole:find(("<%s>"):format(seen), 1, true), byte)
    end
  end)

  it("is a string of gnuplot's, whatever stands side by side in it", function()
    if not child.has "gnuplot" then return pending "no gnuplot here" end
    local parts = { "'", "'", "''", '"', "\n", "@GPVAL_TERM", "`touch p0`", "\\", "#", ";", ".", "a", " ", "{", "$d1",
                    "%", "\\n", "!", ",", "é", "EOD", "\\047" }
    local asked, wanted, draw = { ("set print '%s/printed'"):format(folder) }, {}, 1
    for i = 1, 2000 do
      local text = {}
      for k = 1, i % 8 do
        draw = draw * 16807 % 2147483647
        text[k] = parts[draw % #parts + 1]
      end
      wanted[i] = table.concat(text) .. "|\n"
      asked[i + 1] = ("print %s.'|'"):format(quoted(table.concat(text)))
    end
    child.write(folder .. "/quoted", table.concat(asked, "\n") .. "\n")
    assert(os.execute(("cd %s && gnuplot quoted"):format(child.quote(folder))))
    assert.equal(table.concat(wanted), child.read(folder .. "/printed"))
    assert.is_nil(child.read(folder .. "/p0"))
  end)

  local lua = [=[
local d = require "diffusion"
local evil = "it's\n!touch p1\nsystem('touch p2')\n'\nset print 'p3'\n`touch p4`\n@GPVAL_TERM \\\nEOD\n"
  .. '"; system("touch p5")' .. "\r\nGröße_{^x}"
local rows, x = { { 10, 0.1, nil, 20 }, { 20, 0.025, 2, 40 } }, d.tensor { { 1, 2 }, { 3, 4 } }
local function o(name) return { file = name .. ".svg", title = evil, width = 2000, height = 2000 } end
local function labelled(name)
  local all = o(name)
  all.xlabel, all.ylabel = evil, evil
  return all
end
assert(d.plot.lines({ { evil, { 1, 2 } }, { evil, { 2, 1 } } }, labelled "lines"))
assert(d.plot.points({ { evil, x }, { evil, x } }, o "points"))
assert(d.plot.order({ { evil, rows } }, labelled "order"))
assert(d.plot.trajectories({ { evil, { x, x + 1 } }, { evil, { x, x + 2 } } }, labelled "trajectories"))
local model = d.mlp { hidden = 4, depth = 1 }
local schedule = d.schedule.from_beta({ 0.1, 0.2, 0.3 }, { name = evil })
assert(model:save("m.safetensors", { process = d.process { schedule = schedule } }))
local _, process = assert(d.load_model "m.safetensors")
assert(process.schedule.name == evil)
assert(d.plot.schedules({ process.schedule }, o "schedules"))
for _, name in ipairs { "|touch p6;.png", "a'b.png", "!touch p7\n.png", "~x.png", "$(touch p8).PNG", "-o.svg" } do
  assert(d.plot.points({ { "a", x } }, { file = name }))
  assert(io.open(name, "rb"):read "a":find(name:lower():find "png$" and "^\137PNG" or "^<%?xml"))
end
assert(d.plot.points({ { evil, x }, { evil, x } }, { title = evil .. "\27[31m" }))
]=]

  it("runs no command, and keeps its lines", function()
    if not child.has "gnuplot" then return pending "no gnuplot here" end
    local inside = folder .. "/evil"
    os.execute("mkdir " .. inside)
    child.write(inside .. "/evil.lua", lua)
    local out, code = child.run(inside .. "/evil.lua", { folder = inside, env = "DISPLAY= WAYLAND_DISPLAY= " })
    assert(code == 0, out)
    assert.is_nil(out:find "\27")
    assert.truthy(out:find("Größe_{^x}", 1, true) and out:find([[\x1b[31m]], 1, true), out)
    for k = 1, 8 do assert.is_nil(child.read(("%s/p%d"):format(inside, k)), k) end
    for _, name in ipairs { "lines", "points", "order", "trajectories", "schedules" } do
      local list = texts(("%s/%s.svg"):format(inside, name))
      local lines = [[it's;!touch p1;system('touch p2');';set print 'p3';`touch p4`;@GPVAL_TERM \;EOD;Größe_{^x}]]
      for line in lines:gmatch "[^;]+" do has(list, line) end
      has(list, '"; system("touch p5")')
    end
    assert.is_nil(io.popen(("ls %s | grep part"):format(child.quote(inside))):read "l")
  end)
end)

describe("numbers in a plot", function()
  it("are finite, at least one, and above 0 on log axes", function()
    local nan, inf = 0 / 0, math.huge
    for part, draw in pairs {
      ["no point of these series is finite"] = function()
        for _, y in ipairs { { nan }, { inf, -inf, nan } } do fails("finite", d.plot.lines, { { "a", y } }) end
        d.plot.points { { "a", d.full({ 2, 2 }, inf) }, { "b", d.zeros(0, 2) } }
      end,
      ["finite and above 0"] = function() d.plot.lines({ { "a", { -1, 0, nan } } }, { logy = true }) end,
      ["this schedule has no beta"] = function() d.plot.schedules({ d.schedule.edm {} }, { what = "beta" }) end,
    } do fails(part, draw) end
    assert.truthy(told "d.plot.points { { 'a', d.tensor { { 0, 1 }, { 0 / 0, 3 }, { 1, math.huge } } } }":find(
      "set xrange [-0.15:3.15]", 1, true))
  end)
end)

describe("columns of a plot", function()
  it("are of one length", function()
    fails("series 1 has 3 y but 2 x", d.plot.lines, { { "a", { 1, 2, 3 }, { 1, 2 } } })
    fails("series 2 has 2 y but 3 x", d.plot.lines, { { "a", { 1 } }, { "b", d.zeros(2), d.zeros(3) } })
    fails("series 1 has 0 y but 1 x", d.plot.lines, { { "a", {}, { 1 } } })
    fails("series 1 has no numbers", d.plot.lines, { { "a", d.zeros(0) } })
    fails("series 1 must be {name, numbers}", d.plot.lines, { { "a", { 1, 2, nil, 4 } } })
    local text = told "d.plot.lines { { 'a', d.tensor { 1, 2, 3 }, { 0.5, 1e-9, 2 } } }"
    assert.same({ { 0.5, 1 }, { 1e-9, 2 }, { 2, 3 } }, block(text, "d1"))
  end)
end)
