-- Networks of other people's folders train with the ordinary loop, under the process of their scheduler.
local child = require "spec.support.child"
local d = require "diffusion"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"

local function bits(x) return x:detach():contiguous():bytes() end

local root
setup(function() root = child.folder() end)
teardown(function() child.remove(root) end)

local x = d.rand({ 6, 8, 8, 2 }, { seed = 5 }) * 2 - 1
local set = d.data.set { x = x }

-- A folder as diffusers writes it. `o`: outputs of the network, and more of the scheduler's config.
local function folder(name, o)
  d.manual_seed(1)
  local net = d.unet { image = { 8, 8, 2 }, channels = 8, mult = { 1, 2 }, blocks = 1, attention = { 2 }, groups = 4,
    outputs = o.outputs }
  for at, p in net:parameters() do p:add_(d.randn(p:shape(), { seed = #at }) * 0.1) end
  local path = root .. "/" .. name
  assert(d.hub.save(path, { unet = net, scheduler = o.scheduler }, { dtype = o.dtype }))
  return path
end

local function ddpm(more)
  local config = { _class_name = "DDPMScheduler", num_train_timesteps = 100, beta_schedule = "linear",
    beta_start = 1e-3, beta_end = 0.05, variance_type = "fixed_small", clip_sample = true }
  for key, value in pairs(more or {}) do config[key] = value end
  return config
end

-- Trains a pipe's network, or what is given in its place.
local function train(pipe, steps, options)
  local o = options or {}
  local m = o.model or pipe.unet
  d.manual_seed(7)
  local ema = d.ema(m, { decay = 0.9 })
  local opt = d.adamw(m, { lr = 1e-2, clip = 1, ema = ema })
  local report, why = d.trainer { model = m, ema = ema, opt = opt, quiet = true,
    objective = d.objective { process = pipe.process }, checkpoint = o.checkpoint,
    batches = set:batches { size = 4, steps = steps, seed = 1 } }:run()
  return assert(report, why), ema
end

local function contents(path)
  local file <close> = assert(io.open(path .. "/unet/diffusion_pytorch_model.safetensors", "rb"))
  return file:read "a"
end

describe("a network of a folder", function()
  it("trains under its own process, whose file is left alone", function()
    local path = folder("plain", { scheduler = ddpm() })
    local before = contents(path)
    local pipe, copied = assert(d.hub.load(path)), assert(d.hub.load(path, { frozen = false }))
    assert.equal("eps", pipe.process.predict)
    assert.equal(100, pipe.process.T)
    local first = train(pipe, 1).loss
    local last = train(pipe, 60).loss
    assert.is_true(last < 0.8 * first, ("%g after %g"):format(last, first))
    assert.equal(before, contents(path))
    train(copied, 1)
    train(copied, 60)
    for name, p in pipe.unet:parameters() do assert.equal(bits(p), bits(copied.unet:state()[name]), name) end
    assert.not_equal(bits(pipe { n = 1, steps = 2, seed = 1 }),
      bits(assert(d.hub.load(path)) { n = 1, steps = 2, seed = 1 }))
  end)

  it("predicts what its scheduler says", function()
    for _, target in ipairs { "epsilon", "sample", "v_prediction" } do
      local path = folder(target, { scheduler = ddpm { prediction_type = target } })
      local pipe = assert(d.hub.load(path))
      assert.equal(({ epsilon = "eps", sample = "x0", v_prediction = "v" })[target], pipe.process.predict)
      assert.is_true(train(pipe, 3).loss > 0)
    end
  end)

  it("resumes from a checkpoint, bit for bit", function()
    local path = folder("resumed", { scheduler = ddpm() })
    local whole, parts = assert(d.hub.load(path)), assert(d.hub.load(path))
    local _, ema = train(whole, 8, { checkpoint = root .. "/whole.safetensors" })
    train(parts, 3, { checkpoint = root .. "/parts.safetensors" })
    local again = assert(d.hub.load(path))
    local report, other = train(again, 8, { checkpoint = root .. "/parts.safetensors" })
    assert.equal(3, report.resumed)
    for name, p in whole.unet:parameters() do assert.equal(bits(p), bits(again.unet:state()[name]), name) end
    assert.equal(bits(ema(x, 50)), bits(other(x, 50)))
  end)

  it("trains in part, if layers are frozen by pattern", function()
    local path = folder("frozen", { scheduler = ddpm() })
    local pipe, old = assert(d.hub.load(path)), assert(d.hub.load(path))
    pipe.unet:freeze { "^down_blocks", "norm" }
    train(pipe, 3)
    for name, p in pipe.unet:parameters() do
      local still = name:find "^down_blocks" or name:find "norm"
      assert.equal(still ~= nil, bits(p) == bits(old.unet:state()[name]), name)
    end
  end)

  it("trains by adapters on mapped weights of 16 bits", function()
    local path = folder("half", { scheduler = ddpm(), dtype = "f16" })
    local before = contents(path)
    local pipe = assert(d.hub.load(path))
    local lora = d.nn.lora(pipe.unet, { rank = 2, on = "to_[qkv]$" })
    local start = bits(lora(x, 50))
    train(pipe, 5, { model = lora })
    assert.not_equal(start, bits(pipe.unet(x, 50)))
    for name, p in pipe.unet:parameters() do assert.equal("f16", p:dtype(), name) end
    assert.equal(before, contents(path))
  end)

  it("trains its variance, if it has learned one", function()
    local path = folder("learned_range", { outputs = 2, scheduler = ddpm { variance_type = "learned_range" } })
    local pipe = assert(d.hub.load(path))
    assert.equal("learned_range", pipe.process.variance)
    local old = pipe.unet(x, 50)
    assert.same({ 6, 8, 8, 4 }, old:shape())
    local first = train(pipe, 1).loss
    assert.is_true(train(pipe, 60).loss < 0.9 * first)
    local change = (pipe.unet(x, 50) - old):abs():mean(1):mean(1):mean(1):totable()
    for _, c in ipairs(change) do assert.is_true(c > 1e-3) end
    local o = { model = pipe.unet, process = pipe.process, shape = { 1, 8, 8, 2 }, sampler = "ddpm", steps = 3,
      seed = 1 }
    assert.is_true(d.sample(o):isfinite():all())
  end)

  it("trains a variance that diffusers calls learned as the variance itself", function()
    local path = folder("learned", { outputs = 2, scheduler = ddpm { variance_type = "learned" } })
    local pipe = assert(d.hub.load(path, { frozen = false }))
    assert.equal("learned_direct", pipe.process.variance)
    fails("the variance is 'learned_direct', so v is a variance, but its least value is -", train, pipe, 1)
    fails("the variance is 'learned_direct'", pipe, { n = 1, steps = 2, seed = 1 })
    local state = pipe.unet:state()
    d.no_grad(function()
      state["out.conv.weight"]:zero_()
      state["out.conv.bias"]:fill_(0.1)
    end)
    local log = d.process { schedule = pipe.process.schedule, variance = "learned", clip = pipe.process.clip }
    local function as_log(xt, t)
      local out = pipe.unet(xt, t)
      return d.cat({ out:narrow(4, 1, 2), out:narrow(4, 3, 2):log() }, 4)
    end
    d.manual_seed(3)
    local _, seen = d.objective { process = pipe.process }(pipe.unet, x)
    d.manual_seed(3)
    local _, want = d.objective { process = log }(as_log, x)
    assert.is_true(seen.vlb:allclose(want.vlb, { rtol = 1e-5 }))
    assert.is_true(train(pipe, 1).loss > 0)
    assert(d.hub.save(root .. "/again", pipe))
    fails("trained with variance = 'learned_direct', but the process has 'learned_range'", d.hub.save,
      root .. "/other", { unet = pipe.unet, scheduler = ddpm { variance_type = "learned_range" } })
  end)

  it("may be a transformer, with classes and a learned variance", function()
    d.manual_seed(1)
    local net = d.dittransformer2d { sample_size = 8, in_channels = 2, out_channels = 4, num_attention_heads = 2,
      attention_head_dim = 8, num_layers = 2, num_embeds_ada_norm = 3, patch_size = 2 }
    for at, p in net:parameters() do p:add_(d.randn(p:shape(), { seed = #at }) * 0.1) end
    assert(d.hub.save(root .. "/dit", net))
    local classes = d.data.set { x = x, class = { 1, 2, 3, 1, 2, 3 } }
    for _, part in ipairs { "all", "adapters" } do
      local pipe = assert(d.hub.load(root .. "/dit", { scheduler = ddpm { variance_type = "learned_range" } }))
      local m = part == "all" and pipe.unet or d.nn.lora(pipe.unet, { rank = 2, on = "attn1" })
      local old, first, last = pipe.unet(x, 50, { class = 2 }), nil, nil
      local opt, objective = d.adamw(m, { lr = 1e-2, clip = 1 }), d.objective { process = pipe.process }
      for _, x0, class in classes:batches { size = 6, steps = 40, seed = 1 } do
        d.manual_seed(3)
        local loss = d.record(objective, m, x0, { class = class })
        loss:backward()
        opt:step()
        first, last = first or loss:item(), loss:item()
      end
      assert.is_true(last < 0.95 * first, ("%s: %g after %g"):format(part, last, first))
      local change = (pipe.unet(x, 50, { class = 2 }) - old):abs():mean(1):mean(1):mean(1):totable()
      for _, c in ipairs(change) do assert.is_true(c > 1e-3) end
    end
  end)

  it("may be an autoencoder, which learns to give images back", function()
    d.manual_seed(1)
    local vae = d.vq { in_channels = 2, out_channels = 2, block_out_channels = { 8, 8 }, layers_per_block = 1,
      down_block_types = { "DownEncoderBlock2D", "DownEncoderBlock2D" },
      up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" }, latent_channels = 3, num_vq_embeddings = 8,
      norm_num_groups = 4 }
    assert(d.hub.save(root .. "/vq", vae))
    for _, part in ipairs { "decoder", "adapters" } do
      local m = assert(d.hub.load(root .. "/vq")).vae
      local learner = part == "adapters" and d.nn.lora(m, { rank = 2, on = "^decoder" }) or m:freeze "^encoder"
      local opt, first, last = d.adamw(learner, { lr = 1e-2 }), nil, nil
      for _ = 1, 40 do
        local z = m:encode(x)
        local loss = d.record(function() return d.mse(m:decode(z), x) end)
        loss:backward()
        opt:step()
        first, last = first or loss:item(), loss:item()
      end
      assert.is_true(last < 0.9 * first, ("%s: %g after %g"):format(part, last, first))
      for name, p in m:parameters() do
        local still = name:find "^encoder" or part == "adapters"
        if still then assert.equal(bits(vae:state()[name]), bits(p), name) end
      end
    end
  end)

  it("is saved back with what it has learned", function()
    local path, other = folder("saved", { scheduler = ddpm() }), root .. "/back"
    local pipe = assert(d.hub.load(path))
    local lora = d.nn.lora(pipe.unet, { rank = 2 })
    train(pipe, 3, { model = lora })
    lora:merge()
    assert(d.hub.save(other, pipe))
    local again = assert(d.hub.load(other))
    assert.equal(bits(pipe.unet(x, 50)), bits(again.unet(x, 50)))
    assert.equal("UNet2DModel", json.decode(assert(io.open(other .. "/unet/config.json")):read "a")._class_name)
    assert.equal(bits(pipe { n = 1, steps = 2, seed = 1 }), bits(again { n = 1, steps = 2, seed = 1 }))
  end)
end)
