-- DiTTransformer2DModel against diffusers, over the configurations of spec/peers/dit.py: keys, outputs,
-- gradients. Then what is ours: files, training, messages.
local d = require "diffusion"
local core = require "diffusion.core"
local cases = require "spec.support.peer_cases"
local fails = require "spec.support.fails"
local dit = require "spec.support.peer_dit"
local peers = require "diffusion.nn.peers"
local family = require "diffusion.nn.family"

local small = { sample_size = 4, num_attention_heads = 2, attention_head_dim = 8, num_layers = 2,
  num_embeds_ada_norm = 5 }

local function made(more)
  local o = {}
  for key, value in pairs(small) do o[key] = value end
  for key, value in pairs(more or {}) do o[key] = value end
  return d.dittransformer2d(o)
end

-- Zero first values hide what is behind them.
local function stir(model)
  local i = 0
  for _, p in model:parameters() do
    i = i + 1
    p:add_(d.randn(p:shape(), { seed = i }) * 0.1)
  end
  return model
end

describe("DiTTransformer2DModel of diffusers", function()
  for k, case in ipairs(cases.read "spec/fixtures/peers/dit.safetensors") do
    it(("has the same outputs and gradients, case %d"):format(k), function()
      local off = dit.compare(case)
      for name, ratio in pairs(off) do assert(ratio < 2e-5, ("%s: %.3g"):format(name, ratio)) end
    end)
  end
end)

describe("d.dittransformer2d", function()
  local x = d.randn(3, 4, 4, 4, { seed = 1 })

  it("has the tensors of DiT-XL/2 at its size", function()
    local tensors, elements = cases.size("dittransformer2d", { out_channels = 8 })
    assert.same({ 538, 749826464 }, { tensors, elements })
  end)

  it("begins at 0, and each block as the identity", function()
    assert.equal(0, made()(x, 5):abs():max():item())
  end)

  it("takes a missing class, and 0, as the last row of each table", function()
    local model = stir(made())
    local without = model(x, 5)
    assert.is_true(without:equal(model(x, 5, { class = 0 })))
    assert.is_false(without:equal(model(x, 5, { class = 5 })))
    for name, p in model:parameters() do if name:find "embedding_table" then p[5]:copy_(p[6]) end end
    assert.is_true(without:equal(model(x, 5, { class = 5 })))
    fails("sample 1 is of class 6, but this network knows 1..5, and 0 for none", model, x, 5, { class = 6 })
  end)

  it("forgets classes in training only, the same in all blocks", function()
    local model = stir(made { class_dropout = 0.5 })
    local class = d.full({ 3 }, 2):to "i64"
    local kept, forgotten = model(x, 5, { class = 2 }), model(x, 5)
    d.manual_seed(3)
    local y = d.record(function() return model(x, 5, { class = class }) end)
    for k = 1, 3 do
      local near = math.min((y[k] - kept[k]):abs():max():item(), (y[k] - forgotten[k]):abs():max():item())
      assert(near < 1e-5, tostring(near))
    end
    model:eval()
    assert.is_true(kept:equal(d.record(function() return model(x, 5, { class = class }) end)))
  end)

  it("recomputes its blocks to the same bits", function()
    local function gradients(recompute)
      d.manual_seed(1)
      local model = stir(made { recompute = recompute, dropout = 0.2 })
      d.record(function() return model(x, 7, { class = { 1, 2, 0 } }):sum() end):backward()
      local all = {}
      for name, p in model:parameters() do all[#all + 1] = name .. p.grad:bytes() end
      return table.concat(all)
    end
    assert.equal(gradients(false), gradients(true))
  end)

  it("takes images of other sizes, square or not", function()
    local model = stir(made())
    assert.same({ 1, 6, 10, 4 }, model(d.randn(1, 6, 10, 4), 9):shape())
    fails("dittransformer2d: x is [1,5,6,4], but H and W must be multiples of 2 for this network", model,
      d.zeros(1, 5, 6, 4), 9)
    fails("xt is [4,4,4], without a batch dimension", model, d.zeros(4, 4, 4), 9)
  end)

  it("has the times of the authors' DiT with freq_shift = 0, which diffusers can't have", function()
    local model = stir(made { freq_shift = 0, num_layers = 1 })
    local embedder = model.transformer_blocks[0].norm1.emb.timestep_embedder
    embedder.linear_1.weight:fill_(0)
    local theirs = stir(made { num_layers = 1 })
    theirs:load_state(model:state())
    assert.is_true(model(x, 500):equal(theirs(x, 500))) -- waves don't count yet
    embedder.linear_1.weight:fill_(0.01)
    theirs:load_state(model:state())
    assert.is_false(model(x, 500):equal(theirs(x, 500)))
    local saved, message = d.hub.save("a folder that isn't made", model)
    assert.is_nil(saved)
    assert.equal("DiTTransformer2DModel has times of freq_shift = 1; it can't have this model's 0", message)
  end)

  it("has its options as the config of that class, and back", function()
    local known = family.find "dittransformer2d"
    local entry = known.peers.diffusers
    local config = peers.config(known, entry, made({ dropout = 0.5 }):config())
    assert.equal(0.5, config.dropout)
    assert.is_nil(config.freq_shift)
    assert.is_nil(config.recompute)
    config.something = 1
    local options, unknown = peers.options(known, entry, config)
    assert.same({ "something" }, unknown)
    assert.equal(0.5, d.dittransformer2d(options):config().dropout)
  end)

  it("is saved and loaded", function()
    local path, model = os.tmpname(), stir(made { freq_shift = 0 })
    assert(model:save(path))
    local again = assert(d.load_model(path))
    os.remove(path)
    assert.is_true(model(x, 5, { class = 1 }):equal(again(x, 5, { class = 1 })))
    assert.equal(tostring(model), tostring(again))
  end)

  it("refuses what that class refuses", function()
    fails("unknown value 'ada_norm'; did you mean 'ada_norm_zero'? valid: ada_norm_zero", made,
      { norm_type = "ada_norm" })
    fails("must be a multiple of 4, for a sine and a cosine of both places of a patch, got 1 x 6", made,
      { num_attention_heads = 1, attention_head_dim = 6 })
    fails("sample_size 4 is less than patch_size 8", made, { patch_size = 8 })
  end)

  it("trains with an objective and samples with guidance", function()
    local process = d.process { schedule = d.schedule.cosine { T = 20 }, predict = "x0" }
    local model = made()
    local opt, objective = d.adamw(model, { lr = 3e-3 }), d.objective { process = process }
    local pixels = d.cat({ d.ones(4, 4, 4, 4), -d.ones(4, 4, 4, 4) }, 1)
    local class, first, last = { 1, 1, 1, 1, 2, 2, 2, 2 }, nil, nil
    d.manual_seed(2)
    for step = 1, 60 do
      local loss = d.record(function() return objective(model, pixels, { class = class }) end)
      loss:backward()
      opt:step { zero = true }
      if step == 1 then first = loss:item() end
      last = loss:item()
    end
    assert(last < 0.5 * first, ("%g to %g"):format(first, last))
    local y = d.sample { model = model, process = process, shape = { 2, 4, 4, 4 }, class = { 1, 2 }, guidance = 2,
      steps = 10, seed = 1 }
    assert(y[1]:mean():item() > 0.3 and y[2]:mean():item() < -0.3)
    assert.equal(5, require("diffusion.nn.model").classes(d.ema(model, { decay = 0.9 })))
    assert.equal(core.real, y:dtype())
  end)
end)
