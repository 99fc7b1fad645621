-- Sets of latents and texts' states: they hold what the pipe's networks say, and are refused for others.
local d = require "diffusion"
local child = require "spec.support.child"
local core = require "diffusion.core"
local exactly = require "spec.support.exactly"
local fails = require "spec.support.fails"
local latents = require "diffusion.hub.latents"
local lora_text = require "spec.support.lora_text"

local root, pipes, pictures
setup(function()
  root = child.folder()
  pictures = root .. "/pictures"
  assert(os.execute("mkdir " .. pictures))
  for k, size in ipairs { { 16, 24 }, { 16, 24 }, { 24, 16 }, { 16, 16 }, { 20, 16 } } do
    assert(d.image.save(("%s/%d.png"):format(pictures, k), d.rand({ size[1], size[2], 3 }, { seed = k }) * 2 - 1))
  end
  pipes = { sd1 = lora_text.pipe(root, "sd1", true), xl = lora_text.pipe(root, "xl", true) }
end)
teardown(function() child.remove(root) end)

local TEXTS = { ["1.png"] = "a cat", ["2.png"] = "the dog", ["3.png"] = "a cat", ["4.png"] = "", ["5.png"] = "mat" }

local function folder(more)
  local o = { captions = TEXTS, buckets = { sizes = { { 16, 24 }, { 16, 16 } } } }
  for key, value in pairs(more or {}) do o[key] = value end
  return assert(d.data.folder(pictures, o))
end

local function near(x, y) assert.is_true(x:allclose(y, { rtol = 1e-4, atol = 1e-5 })) end

local function refused(sentence, value, message)
  assert.is_nil(value)
  assert(message:find(sentence, 1, true), message)
end

describe("an encoded set", function()
  it("draws latents anew each time, as the autoencoder says", exactly(function()
    local pipe, set = pipes.sd1, folder { buckets = false, size = 16 }
    local one = assert(pipe:encode_set(set, { size = 2 }))
    local mean, std = pipe.vae:encode(d.image.to_float(set.x))
    local factor, sum, square = pipe.vae:config().scaling_factor, d.zeros(5, 8, 8, 4), d.zeros(5, 8, 8, 4)
    local batches, other = one:batches { size = 5, epochs = 400, shuffle = false, seed = 1 }, nil
    for step, x0 in batches do
      if step == 7 then other = x0 end
      sum, square = sum + x0, square + (x0 - mean * factor) ^ 2
    end
    assert.is_true((sum / 400 - mean * factor):abs():max():item() < 6 * (std * factor):max():item() / 20)
    local ratio = ((square / 400):sqrt() / (std * factor)):mean():item()
    assert.is_true(math.abs(ratio - 1) < 0.01)
    local again = one:batches { size = 5, epochs = 400, shuffle = false, seed = 1 }
    again.step = 6
    assert.is_true(other:equal(select(2, again())))
  end))

  it("has the states of its texts, and those of no text where one is left out", exactly(function()
    for kind, pipe in pairs(pipes) do
      local set = folder()
      local one = assert(pipe:encode_set(set, { size = 2 }))
      assert.same(set.captions, one.captions)
      assert.same(set.buckets, one.buckets)
      local how = { size = 3, epochs = 2, seed = 2 }
      local batches, plain = one:batches(how), set:batches(how)
      for _ in batches do
        plain()
        for _, name in ipairs { "captions", "examples", "sizes" } do assert.same(plain[name], batches[name]) end
        local given, wanted = pipe:inputs(batches), pipe:inputs(plain)
        for name, x in pairs(wanted) do near(given[name], x) end
        local without, none = pipe:inputs(batches, { drop = 1 }), pipe:inputs(plain, { drop = 1 })
        for name, x in pairs(none) do near(without[name], x) end
        if kind == "xl" then assert.equal(0, without.context:abs():max():item()) end
      end
    end
  end))

  it("leaves out texts with the probability that is asked for", function()
    local pipe = pipes.sd1
    local empty = pipe:inputs({ "" }).context
    local list, out = {}, 0
    for i = 1, 400 do list[i] = "a cat" end
    d.manual_seed(3)
    local context = pipe:inputs(list, { drop = 0.25 }).context
    for i = 1, 400 do out = out + (context[i]:allclose(empty[1], { atol = 1e-5 }) and 1 or 0) end
    assert.is_true(math.abs(out - 100) < 30)
  end)

  it("is kept in a file that is mapped", exactly(function()
    for kind, pipe in pairs(pipes) do
      local path, set = ("%s/%s.safetensors"):format(root, kind), folder()
      local one = assert(pipe:encode_set(set, { path = path }))
      local time = io.popen("stat -c %Y.%i " .. path):read "a"
      local two = assert(pipe:encode_set(set, { path = path }))
      assert.equal(time, io.popen("stat -c %Y.%i " .. path):read "a")
      local three = assert(assert(d.hub.load(root .. "/" .. kind, { vae = false, text = false })):encode_set(nil,
        { path = path }))
      for _, other in ipairs { two, three } do
        local a, b = one:batches { size = 2, steps = 6, seed = 3 }, other:batches { size = 2, steps = 6, seed = 3 }
        for _, x0 in a do
          assert.is_true(x0:equal(select(2, b())))
          assert.same(a.captions, b.captions)
          for name, x in pairs(pipe:inputs(a)) do assert.is_true(x:equal(pipe:inputs(b)[name])) end
        end
      end
      assert.equal("encoded set", select(2, assert(d.load(path))).kind)
    end
  end))

  it("may hold latents alone, next to its captions", exactly(function()
    local pipe, path, set = pipes.sd1, root .. "/alone.safetensors", folder()
    for _ = 1, 2 do
      local one = assert(pipe:encode_set(set, { path = path, texts = false }))
      assert.same(set.captions, one.captions)
      local batches = one:batches { size = 2, seed = 1 }
      batches()
      local lora = pipe:add_lora { text = true, seed = 1 } -- other states than those of the file's time
      for name, p in lora.text:parameters() do p:add_(d.randn(p:shape(), { seed = #name }) * 0.3) end
      assert.is_true(pipe:inputs(batches).context:equal(pipe:inputs(batches.captions).context))
      lora:remove()
    end
    assert.is_nil(assert(d.load(path))["text.context"])
    assert.same(set.captions, assert(pipe:encode_set(nil, { path = path })).captions)
    refused("made with other options", pipe:encode_set(set, { path = path }))
  end))

  it("may be kept in half of the bytes", function()
    local pipe, path = pipes.sd1, root .. "/half.safetensors"
    local one = assert(pipe:encode_set(folder(), { path = path, dtype = "f16" }))
    assert.equal("f16", assert(d.load(path))["mean.1"]:dtype())
    local _, x0 = one:batches { size = 2 }()
    assert.equal("f32", x0:to "f32":dtype())
    refused("made with other options", pipe:encode_set(folder(), { path = path }))
  end)

  it("is refused for other networks, pictures and captions", function()
    local pipe, path, set = pipes.sd1, root .. "/refused.safetensors", folder()
    assert(pipe:encode_set(set, { path = path }))
    local function other(what, given)
      refused("it was made with other " .. what, pipe:encode_set(given or set, { path = path }))
    end
    other("captions", folder { captions = function() return "a cat" end })
    other("pictures", folder { buckets = { sizes = { { 16, 16 } } } })
    local weight = pipe.vae:state()["encoder.conv_in.weight"]
    local kept = weight:clone()
    weight:mul_(1.5)
    other "autoencoder"
    weight:copy_(kept)
    local lora = pipe:add_lora { text = true, seed = 1 }
    other "text encoder"
    lora:remove()
    assert(pipe:encode_set(set, { path = path }))
    pipe.text:state()["encoder.layers.0.mlp.fc1.bias"]:add_(1)
    other "text encoder"
    pipe.text:state()["encoder.layers.0.mlp.fc1.bias"]:sub_(1)
  end)

  it("is refused where the config of a network, a class or a picture's place has changed", function()
    local pipe, path = assert(d.hub.load(root .. "/sd1")), root .. "/facts.safetensors"
    assert(pipe:encode_set(folder(), { path = path, size = 2 }))
    assert(pipe:encode_set(folder(), { path = path, size = 3 })) -- the same, in other parts
    local function other(what, set)
      refused("it was made with other " .. what, pipe:encode_set(set or folder(), { path = path }))
    end
    for field, change in pairs { vae = { scaling_factor = 0.25 }, text = { hidden_act = "gelu" } } do
      local net = pipe[field]
      local config = net:config()
      for key, value in pairs(change) do config[key] = value end
      local make = d[config.kind]
      config.kind = nil
      pipe[field] = make(config):load_state(net:state())
      other(field == "vae" and "autoencoder" or "text encoder")
      pipe[field] = net
    end
    local classes = { "a", "b" }
    for k, name in ipairs(classes) do
      assert(os.execute(("mkdir -p '%s/%s/%s'; cp '%s/%d.png' '%s/%s/%s'"):format(root, "classes", name, pictures, k,
        root, "classes", name)))
    end
    local function classed() return assert(d.data.folder(root .. "/classes", { size = 16, captions = tostring })) end
    path = root .. "/classes.safetensors"
    assert(pipe:encode_set(classed(), { path = path }))
    assert(os.rename(root .. "/classes/b", root .. "/classes/c"))
    assert(os.execute(("mkdir '%s/classes/b'"):format(root)))
    local swapped = { ["a/1.png"] = "a/1.png", ["c/2.png"] = "b/2.png" }
    local set = assert(d.data.folder(root .. "/classes", { size = 16, captions = swapped }))
    other("pictures", set)
  end)

  it("goes on after the part at which it was interrupted", exactly(function()
    local pipe, path, set = pipes.sd1, root .. "/parts.safetensors", folder()
    local whole = root .. "/whole.safetensors"
    assert(pipe:encode_set(set, { path = whole, size = 1 }))
    local moments, count, most = latents.moments, 0, 3
    latents.moments = function(...) -- luacheck: ignore 122
      count = count + 1
      if count > most then error "interrupted" end
      return moments(...)
    end
    local fine, why = pcall(pipe.encode_set, pipe, set, { path = path, size = 1 })
    assert.is_true(not fine and why:find "interrupted" ~= nil and d.load(path) == nil)
    child.write(path .. ".parts/pictures-1-1-1.safetensors", "damaged")
    child.write(path .. ".parts/pictures-1-2-2.safetensors.77-0", "half")
    count, most = 0, 100
    assert(pipe:encode_set(set, { path = path, size = 1 }))
    latents.moments = moments -- luacheck: ignore 122
    assert.equal(5 - 3 + 1, count)
    assert.equal(child.read(whole), child.read(path))
    assert.is_nil(core.list(path .. ".parts"))
    assert(os.execute(("mkdir '%s.parts'"):format(path)))
    child.write(path .. ".parts/texts-1-1.safetensors", "left")
    assert(pipe:encode_set(set, { path = path }))
    assert.is_nil(core.list(path .. ".parts"))
  end))

  it("takes no part that was made of other networks, and says where it can't write", function()
    local pipe, path, set = pipes.sd1, root .. "/other_parts.safetensors", folder()
    assert(os.execute(("mkdir '%s.parts'"):format(path)))
    local one = assert(pipe:encode_set(set, { path = path, size = 5 }))
    assert(os.execute(("mkdir '%s.parts'; cp '%s' '%s.parts/pictures-1-1-3.safetensors'"):format(path, path, path)))
    os.remove(path)
    local two = assert(pipe:encode_set(set, { path = path, size = 5 }))
    local function first(of) return select(2, of:batches { size = 2, seed = 1 }()) end
    assert.is_true(first(one):equal(first(two)))
    child.write(root .. "/a_file", "x")
    refused("a_file/set.safetensors", pipe:encode_set(set, { path = root .. "/a_file/set.safetensors" }))
    refused("it is a folder", pipe:encode_set(set, { path = pictures }))
    assert.is_nil(core.list(pictures .. ".parts"))
    refused("1.png: a PNG, not an encoded set", pipe:encode_set(set, { path = pictures .. "/1.png" }))
    refused("nowhere/set.safetensors", pipe:encode_set(set, { path = root .. "/nowhere/set.safetensors" }))
  end)

  it("isn't made of a damaged file", function()
    local pipe, path, set = pipes.sd1, root .. "/damaged.safetensors", folder()
    assert(pipe:encode_set(set, { path = path }))
    local function damaged(change)
      local tensors, metadata = assert(d.load(path))
      local copy = {}
      for name, x in pairs(tensors) do copy[name] = x:clone() end
      change(copy, metadata)
      local other = root .. "/other.safetensors"
      assert(d.save(other, copy, metadata))
      local made, message = pipe:encode_set(set, { path = other })
      assert.is_nil(made)
      assert(message:find("other.safetensors: ", 1, true), message)
    end
    damaged(function(t) t["mean.1"] = nil end)
    damaged(function(t) t["mean.1"] = t["mean.1"]:narrow(1, 1, 1):clone() end)
    damaged(function(t) t["std.1"] = d.zeros(1) end)
    damaged(function(t) t.caption[1] = 9 end)
    damaged(function(t) t["none.context"] = nil end)
    damaged(function(t) t["text.context"] = d.zeros(1, 1, 1) end)
    damaged(function(_, m) m.facts = "{}" end)
    damaged(function(_, m) m.facts = m.facts:gsub('"n":5', '"n":6') end)
    damaged(function(_, m) m.kind = "model" end)
    damaged(function(_, m) m.version = "99" end)
  end)

  it("isn't made of what can't be one", function()
    local pipe = pipes.sd1
    fails("random crops differ each time", pipe.encode_set, pipe, folder { crop = "random" })
    fails("a set, or the path of a file, is needed", pipe.encode_set, pipe, nil, {})
    fails("a set of pictures expected", pipe.encode_set, pipe, d.data.toy.moons(5))
    local one = assert(pipe:encode_set(folder()))
    fails("a set of pictures expected", pipe.encode_set, pipe, one)
    fails("flip is for pictures", one.batches, one, { size = 2, flip = true })
    local bare = assert(d.hub.load(root .. "/sd1", { vae = false }))
    fails("the pipe has no autoencoder", bare.encode_set, bare, folder())
  end)
end)

describe("inputs for training", function()
  it("have the sizes that SDXL takes", function()
    local given = pipes.xl:inputs { captions = { "a", "b" }, sizes = { original = { { 9, 8 }, { 7, 6 } },
      crop = { { 1, 2 }, { 3, 4 } }, target = { 16, 16 } } }
    assert.same({ { 9, 8, 1, 2, 16, 16 }, { 7, 6, 3, 4, 16, 16 } }, given.time_ids:totable())
    fails("SDXL's network takes sizes of pictures", pipes.xl.inputs, pipes.xl, { "a" })
    fails("the sizes of picture 2 of 2 are missing", pipes.xl.inputs, pipes.xl, { captions = { "a", "b" },
      sizes = { original = { { 9, 8 } }, crop = { { 1, 2 } }, target = { 16, 16 } } })
  end)

  it("need captions", function()
    fails("these batches have no captions yet", pipes.sd1.inputs, pipes.sd1, folder():batches { size = 2 })
    fails("caption 2 must be a text, got 7", pipes.sd1.inputs, pipes.sd1, { "a", 7 })
    fails("batches of a set, a list of texts", pipes.sd1.inputs, pipes.sd1, "a")
  end)

  it("serve d.trainer with adapters on an encoded set", function()
    local pipe = pipes.xl
    local one = pipe:add_lora { rank = 2, seed = 1 }
    local set = assert(pipe:encode_set(folder()))
    local batches = set:batches { size = 2, steps = 4, seed = 1 }
    local report = assert(d.trainer { model = one.unet, objective = d.objective { process = pipe.process },
      opt = d.adamw(one.unet, { lr = 1e-3 }), batches = batches, quiet = true,
      inputs = function() return pipe:inputs(batches, { drop = 0.1 }) end }:run())
    assert.equal(4, report.step)
    one:remove()
  end)
end)
