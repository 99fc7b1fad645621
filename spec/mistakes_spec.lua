-- Mistakes of a first evening: each is answered at the line that made it, by a sentence with
-- the numbers and in the user's words.
local d = require "diffusion"
local nn = d.nn

local p = d.process { schedule = d.schedule.linear { T = 100 } }
local mlp = d.mlp { dim = 2, hidden = 16, depth = 1 }
local unet = d.unet { image = { 8, 8, 1 }, channels = 8, mult = { 1, 2 }, blocks = 1, classes = 3 }
local x, picture = d.randn(4, 2), d.randn(2, 8, 8, 1)
local moons = d.data.toy.moons(10)

local function sample(o)
  local options = { model = mlp, process = p, shape = { 4, 2 }, steps = 2 }
  for k, v in pairs(o) do options[k] = v end
  d.sample(options)
end

local mistakes = {
  { "shapes [2,3] and [4,5] don't fit", function() d.randn(2, 3):add(d.randn(4, 5)) end },
  { "[2,3] has 6 elements, [4,2] would have 8", function() d.randn(2, 3):reshape(4, 2) end },
  { "no type 'float32'; there are f32, f64, f16, bf16, u8, i64; 'float32' is called 'f32' here",
    function() x:to "float32" end },
  { "'bfloat16' is called 'bf16' here", function() x:to "torch.bfloat16" end },
  { "a list of tensors expected, as {x, y}, got a tensor", function() d.cat(x, x) end },
  { "x[i] of a tensor [], which is one number; x:item() reads it", function() for _ in ipairs(x:sum()) do end end },
  { "x[i] of a tensor [], which is one number", function() local _ = x:sum()[1] end },
  { "'randn' (a list takes no field 'seed'; give options in a table of their own",
    function() d.randn { 2, seed = 1 } end },
  { "'sample' (a table of options expected, got model)", function() d.sample(mlp) end },
  { "'objective' (a table of options expected, got process)", function() d.objective(p, mlp) end },
  { "d.linalg has no 'chol'; did you mean 'cholesky'?", function() local _ = d.linalg.chol end },
  { "unknown option 'drop'; did you mean 'dropout'?", function() d.unet { image = { 8, 8, 1 }, drop = 0.1 } end },
  { "unknown option 'eps'; did you mean 'epsilon'?", function() d.adamw(mlp, { eps = 1e-8 }) end },
  { "an oracle never changes, so its 'mean' can't be written", function() d.oracle.gaussian { std = 1 }.mean = 4 end },
  { "dimension 3 of a tensor [4,2], which has 2", function() x:mean(3) end },
  { "[4,2] has 8 elements, not one", function() x:item() end },
  { "unknown option 'chanels'; did you mean 'channels'?", function() d.unet { image = { 8, 8, 1 }, chanels = 8 } end },
  { "image [30,30] can't be halved 2 times", function() d.unet { image = { 30, 30, 1 }, mult = { 1, 2, 2 } } end },
  { "sample 2 is of class 4, but this network knows 1..3", function() unet(picture, 5, { class = { 1, 4 } }) end },
  { "class is 1.5", function() unet(picture, 5, { class = 1.5 }) end },
  { "made without classes", function() mlp(x, 5, { class = 1 }) end },
  { "xt must be a tensor, got integer", function() mlp(5, x) end },
  { "t is missing", function() unet(picture) end },
  { "t has the shape [2], but x has 4 samples", function() mlp(x, { 1, 2 }) end },
  { "x is [2,8,8,3], but this network takes [B,H,W,1]", function() unet(d.randn(2, 8, 8, 3), 3) end },
  { "t must be in 1..100, got 0", function() p:q_sample(x, 0) end },
  { "t must be in 1..100, got 101", function() p:q_sample(x, 101) end },
  { "q_sample: eps is [3,2], but x is [4,2]", function() p:q_sample(x, 5, d.randn(3, 2)) end },
  { "call with a colon", function() p.q_sample(x, 5) end },
  { "below t = 3 (later time first), got 5", function() p:posterior(x, x, 3, 5) end },
  { "posterior: xt is [2,8,8,1], but x0 is [4,2]", function() p:posterior(x, picture, 3) end },
  { "option 'xt' is missing", function() p:convert(x, { from = "eps", to = "x0", t = 3 }) end },
  { "'epsilon' is called 'eps' here", function() d.process { schedule = p.schedule, predict = "epsilon" } end },
  { "beta[6] = 1", function() d.schedule.linear { T = 10 } end },
  { "steps must be in 1..T = 100, got 200", function() sample { steps = 200 } end },
  { "model must be a denoiser, callable as (xt, t, {class=}), got 5", function() sample { model = 5 } end },
  { "model must be a denoiser", function() d.objective { process = p }(nil, x) end },
  { "number 1 is '50'", function() d.grid.list(p, { "50", 3 }) end },
  { "unknown sampler 'ddmi'; did you mean 'ddim'?", function() sample { sampler = "ddmi" } end },
  { "the denoiser returned a tensor [3,3] for xt [4,2]",
    function() sample { model = function() return d.zeros(3, 3) end } end },
  { "the denoiser returned 1 for xt [4,2]", function() sample { model = function() return 1 end } end },
  { "nn.model(root) packs a network", function() nn.linear(2, 3)(x) end },
  { "w is [3,3] but x [4,2] has 2 features", function() nn.model(nn.linear(3, 3))(x) end },
  { "compute it in d.record", function() d.mse(mlp(x, 3), x):backward() end },
  { "take its mean() or sum()", function() d.record(mlp, x, 3):backward() end },
  { "record: a function expected, got tensor", function() d.record(d.mse(x, x)) end },
  { "x0 must be a tensor, got model", function() d.objective { process = p }(x, mlp) end },
  { "number or function in [0, inf) expected, got -1", function() d.adamw(mlp, { lr = -1 }) end },
  { "option 'size' is missing", function() moons:batches {} end },
  { "model expected, got a tensor [4,2]", function() d.checkpoint { path = "a", model = x } end },
  { "1 to 256 threads, got 0", function() d.threads(0) end },
  { "no 'low'; there are highest, high, medium", function() d.precision "low" end },
  { "class 2 is 4, outside 1..3", function() d.cross_entropy(d.randn(2, 3), d.tensor { 1, 4 }) end },
  { "series 1 must be {name, tensor {n,2}}, got string", function() d.plot.points({ "a", x }, { file = "a.png" }) end },
  { "d.image.grid makes one of many", function() d.image.save("a.png", picture) end },
}

describe("a mistake", function()
  for _, row in ipairs(mistakes) do
    it("is answered: " .. row[1], function()
      local fine, message = pcall(row[2])
      assert.is_false(fine)
      assert(message:find("mistakes_spec.lua:%d+: "), message)
      assert(message:find(row[1], 1, true), message)
      assert.is_nil(message:find("lua/diffusion", 1, true))
    end)
  end

  it("with a file is nil and a sentence", function()
    local path = os.tmpname()
    assert(d.image.save(path, picture:narrow(1, 1, 1)))
    for wanted, load in pairs { ["a safetensors file"] = d.load, ["a model"] = d.load_model } do
      local value, message = load(path)
      assert.is_nil(value)
      assert.truthy(message:find(("a PNG, not %s; d.image.load reads it"):format(wanted), 1, true))
      assert.is_nil((load "/nowhere/a.safetensors"))
    end
    os.remove(path)
  end)
end)

describe("at the user's line,", function()
  local function answered(sentence, f)
    local fine, message = pcall(f)
    assert.is_false(fine, sentence)
    assert(message:find("mistakes_spec.lua:%d+: "), message)
    assert(message:find(sentence, 1, true), message)
  end

  it("paths are strings", function()
    for text, path in pairs { ["a path expected, got nil"] = false, ["a path expected, got table"] = {} } do
      path = path or nil
      for _, f in ipairs {
        function() return (d.load(path)) end, function() return (d.save(path, {})) end,
        function() return (mlp:load(path)) end, function() return (mlp:save(path)) end,
        function() return (d.image.load(path)) end, function() return (d.image.info(path)) end,
        function() return (d.image.save(path, picture:narrow(1, 1, 1))) end,
        function() return (d.data.idx(path)) end, function() return (d.data.npy(path)) end,
        function() return (d.data.arrays(path)) end, function() return (d.data.folder(path)) end,
        function() return (d.data.cifar10(path)) end,
      } do answered(text, f) end
    end
  end)

  it("models, pictures, plots and walks take what they can use", function()
    answered("model mlp has no 'chanels'", function() mlp.chanels = 3 end)
    answered("model or ema expected, got 5", function() return (mlp:save("q", { weights = 5 })) end)
    answered("a pattern of Lua's expected, got '['", function() return (mlp:freeze "[") end)
    answered("no pixels in [0,2,1]", function() return (d.image.save("e.png", d.zeros(0, 2, 1))) end)
    answered("a list of series expected, got nil", function() return (d.plot.points()) end)
    answered("a list of series expected, got nil", function() return (d.plot.lines()) end)
    answered("series 1 must be {name, numbers}", function() return (d.plot.lines { { "a", { 1, "x" } } }) end)
    answered("entry 1 is 5, not a schedule", function() return (d.plot.schedules { 5 }) end)
    for text, step in pairs { ["got 'x'"] = "x", ["got -1"] = -1, ["got 1.5"] = 1.5 } do
      local batches = moons:batches { size = 2 }
      answered(text, function() batches.step = step end)
    end
  end)

  it("oracles ask for numbers, tensors and processes", function()
    for _, o in ipairs { d.oracle.gaussian { mean = { 0, 0 }, std = 1 },
                         d.oracle.mixture { means = { { 1, 2 }, { 3, 4 } }, std = 1 } } do
      answered("0 or more expected, got nil", function() return (o:sample()) end)
      answered("0 or more expected, got -1", function() return (o:sample(-1)) end)
      answered("unknown option 'sed'", function() return (o:sample(1, { sed = 1 })) end)
      answered("x must be a tensor, got 5", function() return (o:log_prob(5)) end)
      answered("a process expected, got 5", function() return (o:denoiser(5)) end)
      answered("x must be a tensor, got 5", function() return (o:denoiser(p)(5, 3)) end)
    end
    answered("ragged table", function() return (d.oracle.mixture { means = { { 1, 2 }, { 1 } }, std = 1 }) end)
  end)
end)

describe("what can't be shown whole", function()
  it("is shown in part", function()
    local freed = d.zeros(2)
    freed:free()
    assert.equal("tensor (freed)", tostring(freed))
    local endless = tostring(d.zeros(1):expand(1000000, 1000000))
    assert.matches("%[1000000,1000000%]\n", endless)
    assert.is_nil(endless:find "mean")
  end)

  it("as a plot in no folder is nil and a message", function()
    if not require "spec.support.child".has "gnuplot" then return end
    local ok, message = d.plot.points({ { "a", x } }, { file = "nodir/p.png" })
    assert.is_nil(ok)
    assert.matches("nodir/p.png: .*No such file or directory", message)
  end)
end)
