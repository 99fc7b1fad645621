-- Foreign text at a terminal. Names in files, paths, and mistaken arguments may contain
-- any bytes. They must not move the cursor, change colours or hide the text that follows.
local d = require "diffusion"
local core = require "diffusion.core"
local child = require "spec.support.child"
local printed = require "spec.support.printed"
local progress = require "diffusion.progress"

local bad = "a\27[31m\7\b\r\u{9b}2J\u{202e}\127b\x9bc\xff"
local shown = [[a\x1b[31m\x07\x08\r\u{9b}2J\u{202e}\x7fb\x9bc\xff]]
local honest = "Größe µ 大 🙂 α̂ עברית"

-- UTF-8, and in it no control character but the ends of lines, no mark of direction.
local function harmless(text)
  assert.equal("string", type(text))
  assert(utf8.len(text), ("%q"):format(text))
  assert.is_nil(text:find "[\0-\8\11-\31\127]", ("%q"):format(text))
  for _, c in utf8.codes(text) do
    assert(not (c >= 0x80 and c < 0xa0 or c >= 0x2028 and c <= 0x202e or c >= 0x2066 and c <= 0x2069),
      ("%q"):format(text))
  end
  return text
end

-- It's shown, and harmless.
local function shows(text) assert.truthy(harmless(text):find(shown, 1, true), text) end

local function message_of(f, ...)
  local fine, message = pcall(f, ...)
  assert.is_false(fine)
  return message
end

local folder
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

describe("printable text", function()
  it("keeps what can be printed, and escapes each byte that can't", function()
    for byte = 1, 255 do
      local c = string.char(byte)
      local names = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }
      local one = byte >= 32 and byte < 127 and c or names[c] or ("\\x%02x"):format(byte)
      assert.equal(("<%s>"):format(one), core.printable("<" .. c .. ">", true))
      local kept = (c == "\t" or c == "\n") and c or one
      assert.equal(("<%s>"):format(kept), core.printable("<" .. c .. ">"))
    end
    assert.equal("a\\x00b", core.printable "a\0b")
    assert.equal(honest, core.printable(honest))
    assert.equal(shown, core.printable(bad))
    assert.equal(shown, core.printable(shown))
  end)

  it("takes UTF-8 strictly", function()
    for given, told in pairs {
      ["\xc0\x9b"] = [[\xc0\x9b]], ["\xe0\x80\x9b"] = [[\xe0\x80\x9b]], ["\xed\xa0\x80"] = [[\xed\xa0\x80]],
      ["\xf4\x90\x80\x80"] = [[\xf4\x90\x80\x80]], ["\xe2\x82"] = [[\xe2\x82]], ["\xc2"] = [[\xc2]],
      ["\u{80}\u{9f}\u{a0}"] = "\\u{80}\\u{9f}\u{a0}", ["\u{2066}\u{2069}\u{200d}"] = "\\u{2066}\\u{2069}\u{200d}",
      ["\u{2028}"] = "\\u{2028}", ["\u{ffff}\u{10fffe}\u{10fffd}"] = "\\u{ffff}\\u{10fffe}\u{10fffd}",
    } do
      assert.equal(told, core.printable(given))
    end
  end)
end)

describe("no terminal is steered by", function()
  local process = d.process { schedule = d.schedule.from_beta({ 0.1, 0.2, 0.3, 0.4 }, { name = bad }), predict = "v" }
  local model = d.mlp { hidden = 4, depth = 1 }

  it("a schedule's name", function()
    local file = folder .. "/model.safetensors"
    local named = d.process { schedule = d.schedule.from_beta({ 0.1, 0.2 }, { name = "a\27[31m\u{9b}2J" }) }
    assert(model:save(file, { process = named }))
    local _, loaded = assert(d.load_model(file))
    assert.equal("a\27[31m\u{9b}2J", loaded.schedule.name)
    for _, thing in ipairs { loaded, loaded.schedule, d.grid.trailing(loaded, 2), loaded:explain(2),
                             d.sampler.steps { model = model, process = loaded, shape = { 1, 2 }, steps = 2 },
                             d.edit.plan { process = loaded, strength = 1, steps = 2 } } do
      harmless(tostring(thing))
    end
    shows(tostring(process))
    shows(process:explain(2))
  end)

  it("names in d.pp and d.image.info", function()
    shows(printed(d.pp, bad))
    shows(printed(d.pp, { [bad] = 1 }))
    shows(printed(d.pp, { x = bad }))
    assert.equal([[x = "a\nb\"c"]], printed(d.pp, { x = 'a\nb"c' }))
    local path = folder .. "/p.png"
    assert(d.image.save(path, d.zeros(1, 1, 1), { text = { key = bad, [honest] = honest } }))
    local info = assert(d.image.info(path))
    assert.same({ key = bad, [honest] = honest }, info.text)
    assert.equal(("png 1 x 1, 1 channels\n  %s: %s\n  key: %s"):format(honest, honest, shown), tostring(info))
    shows(printed(d.pp, info))
    shows(d.image.draw(d.zeros(1, 1, 1), { label = bad, style = "ascii" }))
  end)

  it("what users hand in by mistake", function()
    shows(printed(d.help, bad))
    shows(message_of(d.unet, { [bad] = 1 }))
    shows(message_of(d.unet, { image = bad }))
    shows(message_of(d.zeros, 1, { [bad] = 1 }))
    shows(message_of(d.zeros, 1, { dtype = bad }))
    shows(message_of(d.precision, bad))
    shows(message_of(d.generator, { kind = bad }))
    shows(message_of(d.cross_entropy, d.zeros(1, 2), d.ones(1), bad))
    shows(message_of(d.sample, { model = model, process = process, shape = { 1, 2 }, sampler = bad }))
    shows(message_of(process.convert, process, d.zeros(1), { from = bad, to = "x0", xt = d.zeros(1), t = 1 }))
    shows(message_of(function() d.zeros(1)[bad] = 1 end))
    shows(message_of(d.plot.schedules, { process.schedule }, { what = bad }))
    shows(message_of(model.freeze, model, bad))
    for _, f in ipairs { d.cat, d.stack } do shows(message_of(f, { d.zeros(1), [bad] = 1 })) end
    for _, f in ipairs { d.zeros, d.randn, d.tensor } do shows(message_of(f, { 2, [bad] = 1 })) end
    shows(message_of(function() return d.zeros(2, 2)[{ 1, [bad] = 2 }] end))
  end)

  it("paths", function()
    local path = folder .. "/none/" .. bad
    for _, read in ipairs { d.load, d.load_model, d.image.load, d.image.info, d.data.npy, d.data.folder, d.data.arrays,
                            d.data.cifar10, function() return model:load(path) end } do
      shows(select(2, read(path)))
    end
    shows(select(2, d.save(path, {})))
    shows(select(2, model:save(path)))
    shows(select(2, d.image.save(path .. ".png", d.zeros(1, 1, 1))))
    local ck = d.checkpoint { path = path, model = model }
    shows(tostring(ck))
    shows(select(2, ck:save()))
    shows(select(2, d.posthoc_ema({ path }, { sigma_rel = 0.1 })))
    local batches = d.data.set { x = d.zeros(2, 2), name = bad }:batches { size = 2, steps = 1 }
    shows(tostring(d.data.set { x = d.zeros(2, 2), name = bad }))
    shows(message_of(function()
      d.trainer { model = model, opt = d.adamw(model), batches = batches, objective = print, log = path,
                  quiet = true }:run()
    end))
  end)

  it("names inside files", function()
    local path = folder .. "/x.safetensors"
    local utf8_bad = "a\27[31m\7\u{9b}2J\u{202e}"
    assert(d.save(path, { [utf8_bad] = d.zeros(1) }, { format = "diffusion", version = "1", kind = utf8_bad }))
    harmless(select(2, d.load_model(path)))
    local kept = { format = "diffusion", version = "1", kind = "model", facts = "{}" }
    assert(d.save(path, { [utf8_bad] = d.zeros(1) }, kept))
    harmless(select(2, model:load(path)))
    harmless(select(2, d.load_model(path)))
    for _, facts in ipairs { '{"model":{"kind":"x\\u001b[31m"}}', '{"model":{"kind":"mlp","x\\u001b[31m":1}}',
                             '{"model":{"kind":"module","name":"x\\u001b[31m"}}' } do
      kept.facts = facts
      assert(d.save(path, {}, kept))
      assert.truthy(harmless(select(2, d.load_model(path))):find([[x\x1b[31m]], 1, true))
    end
    local sub = folder .. "/set"
    os.execute("mkdir -p " .. child.quote(sub .. "/" .. bad))
    child.write(sub .. "/" .. bad .. "/1.png", "no picture")
    shows(select(2, d.data.folder(sub)))
  end)

  it("a line of progress", function()
    local told = {}
    local out = { write = function(_, ...) told = { ... } end, flush = function() end }
    local bar = progress.new(1, { unit = bad, out = out })
    bar.live = false
    bar:update(1, bad .. "\n", 1)
    shows(table.concat(told))
  end)
end)
