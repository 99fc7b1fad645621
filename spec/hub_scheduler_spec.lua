-- d.hub.scheduler: configs as they are found, the classes of diffusers, and runs of them step by step.
local d = require "diffusion"
local json = require "diffusion.file.json"
local fails = dofile "spec/support/fails.lua"
local rows = dofile "spec/support/scheduler_rows.lua"

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- The classes of diffusers 0.42.1, without "Scheduler".
local classes = [[AmusedScheduler BlockRefinement CMStochasticIterative CogVideoXDDIM CogVideoXDPM ConsistencyDecoder
  CosineDPMSolverMultistep DDIM DDIMInverse DDIMParallel DDPM DDPMParallel DDPMWuerstchen DEISMultistep DiscreteDDIM
  DPMSolverMultistep DPMSolverMultistepInverse DPMSolverSDE DPMSolverSinglestep EDMDPMSolverMultistep EDMEuler
  EntropyBound EulerAncestralDiscrete EulerDiscrete FlowMapEulerDiscrete FlowMatchEulerDiscrete FlowMatchHeunDiscrete
  FlowMatchLCM Helios HeliosDMD HeunDiscrete IPNDM KarrasVe KDPM2AncestralDiscrete KDPM2Discrete LCM LMSDiscrete
  LTXEulerAncestralRF MiniMaxH3 Piflow PNDM RePaint RFD4Proteina SASolver SCM ScoreSdeVe ScoreSdeVp TCD UnCLIP
  UniPCMultistep VQDiffusion]]

local double = d.zeros(1):dtype() == "f64"

describe("runs of diffusers' schedulers", function()
  local all = rows.read "spec/fixtures/peers/schedulers.jsonl"

  it("are ours after every step, or refused in a sentence", function()
    local failed, count = {}, {}
    for _, row in ipairs(all) do
      local how, why = rows.judge(row)
      count[how] = (count[how] or 0) + 1
      if how == "failed" then failed[#failed + 1] = ("%s: %s"):format(rows.name(row), why) end
    end
    assert.equal("", table.concat(failed, "\n"))
    local met = (count.met or 0) + (count["met in double"] or 0)
    assert.is_true(met > 0.98 * (met + count.refused - 20), ("%d met, %d refused"):format(met, count.refused))
  end)

  it("cover every class that is followed", function()
    local seen = {}
    for _, row in ipairs(all) do seen[row.c] = true end
    for name in classes:gmatch "%w+" do
      local class = name:gsub("Scheduler$", "") .. "Scheduler"
      local process, message = d.hub.scheduler { _class_name = class }
      assert.is_true(seen[class] == true or process == nil and message:find(class, 1, true) ~= nil, class)
    end
  end)

  it("begin from the noise that facts.start scales", function()
    local compared = 0
    for _, row in ipairs(all) do
      if row.c == "EDMEulerScheduler" and row.init and not row.from and not row.set then
        local facts = select(5, d.hub.scheduler(rows.config(row), { steps = row.n }))
        assert.near(1, facts.start / row.init[1], 1e-6)
        compared = compared + 1
      end
    end
    assert.is_true(compared > 5)
  end)
end)

describe("a scheduler's config", function()
  local dir = os.tmpname()
  os.remove(dir)
  assert(os.execute(("mkdir -p %s/pipe/scheduler"):format(dir)))
  local text = '{ "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.42.1", "skip_prk_steps": true,'
    .. ' "lambda_min_clipped": -Infinity, "trained_betas": null, "solver_order": 3, "beta_start": 0.001,'
    .. ' "_use_default_values": ["solver_order"] }\n'
  write(dir .. "/pipe/scheduler/scheduler_config.json", text)
  write(dir .. "/bad.json", "{")
  write(dir .. "/list.json", "3")
  write(dir .. "/array.json", '["DDIMScheduler"]')
  write(dir .. "/null.json", "null")

  it("is a table, a file, its folder or a pipeline's", function()
    local plain = d.hub.scheduler { _class_name = "DPMSolverMultistepScheduler", beta_start = 0.001 }
    for _, path in ipairs { "/pipe", "/pipe/scheduler", "/pipe/scheduler/scheduler_config.json" } do
      local process, sampler = assert(d.hub.scheduler(dir .. path))
      assert.equal(plain.schedule:sigma(1), process.schedule:sigma(1))
      assert.equal("dpmpp_2m", sampler[1]) -- the default replaces solver_order
    end
  end)

  it("that isn't there or isn't JSON is a sentence", function()
    for path, sentence in pairs {
      ["/nothing"] = "no scheduler_config.json there", ["/bad.json"] = "json: ", ["/list.json"] = "an object expected",
      ["/array.json"] = "an object expected", ["/null.json"] = "an object expected",
    } do
      local process, message = d.hub.scheduler(dir .. path)
      assert.is_nil(process)
      assert.matches(sentence, message, 1, true)
    end
    fails("a config or a path expected, got 3", d.hub.scheduler, 3)
  end)

  it("has the class's defaults, and ignores what the class doesn't know", function()
    local process = assert(d.hub.scheduler { _class_name = "HeunDiscreteScheduler", nonsense = {}, eta = "x" })
    assert.near(0.00085, process.schedule:beta(1), 1e-12)
    assert.equal("fixed_small", (d.hub.scheduler { _class_name = "DDPMScheduler" }).variance)
    local clip = (d.hub.scheduler { _class_name = "DDPMScheduler", thresholding = true, sample_max_value = 2 }).clip
    assert.same({ ratio = 0.995, most = 2 }, clip)
  end)

  it("has null for a truth value that is false", function()
    local process = assert(d.hub.scheduler { _class_name = "DDPMScheduler", clip_sample = json.null })
    assert.is_nil(process.clip)
    process = assert(d.hub.scheduler { _class_name = "DDPMScheduler", clip_sample_range = json.null })
    assert.equal(1, process.clip)
  end)

  it("has variances by names that differ here", function()
    local names = { fixed_small_log = "fixed_small", fixed_large_log = "fixed_large", learned = "learned_direct",
      learned_range = "learned_range" }
    for theirs, ours in pairs(names) do -- in configs that are copied from DDPMScheduler
      local config = { _class_name = "DPMSolverMultistepScheduler", variance_type = theirs }
      assert.equal(ours, assert(d.hub.scheduler(config)).variance)
    end
    local ddpm = { _class_name = "DDPMScheduler", variance_type = "learned" }
    assert.equal("learned_direct", (d.hub.scheduler(ddpm)).variance)
  end)

  it("with a wrong type or value is a sentence that names the option", function()
    for _, case in ipairs {
      { { _class_name = "DDIMScheduler", beta_schedule = "laplace" }, "'beta_schedule'" },
      { { _class_name = "DDIMScheduler", clip_sample = "yes" }, "'clip_sample': boolean expected, got 'yes'" },
      { { _class_name = "DDPMScheduler", num_train_timesteps = 900710 }, "integer in [1, 100000]" },
      { { _class_name = "EDMEulerScheduler", num_train_timesteps = 900710 }, "integer in [1, 100000]" },
      { { _class_name = "DDIMScheduler", num_train_timesteps = 1.5 }, "'num_train_timesteps': integer in [1, " },
      { { _class_name = "DPMSolverMultistepScheduler", algorithm_type = "dpmsolver" }, "'sigma_min' expected" },
      { { _class_name = "DDIMShceduler" }, "did you mean 'DDIMScheduler'?" },
      { {}, "_class_name is missing" },
      { { _class_name = json.null }, "_class_name is missing" },
      { { _class_name = { "diffusers", "DDIMScheduler" } }, "_class_name must be the name of a class, got table" },
      { { _class_name = "ScoreSdeVeScheduler", sampling_eps = 0.25 }, "in 5 steps diffusers takes a level twice" },
      { { _class_name = "LTXEulerAncestralRFScheduler", invert_sigmas = true }, "invert_sigmas" },
      { { _class_name = "VQDiffusionScheduler" }, "VQDiffusionScheduler: it works on discrete tokens" },
      { { _class_name = "DPMSolverSDEScheduler" }, "Brownian tree" },
      { { _class_name = "UniPCMultistepScheduler", use_flow_sigmas = true, use_beta_sigmas = true }, "the curve beta" },
    } do
      local process, message = d.hub.scheduler(case[1], { steps = 5 })
      assert.is_nil(process)
      assert.matches(case[2], message, 1, true)
    end
  end)
end)

describe("options of d.hub.scheduler", function()
  local euler = { _class_name = "EulerDiscreteScheduler" }

  it("that a class doesn't take are refused at the user's line", function()
    fails("hub_scheduler_spec.lua", function()
      local process = d.hub.scheduler(euler, { eta = 1 })
      return process
    end)
    fails("'eta' is not an option of EulerDiscreteScheduler", d.hub.scheduler, euler, { eta = 1 })
    fails("unknown option 'step'; did you mean 'steps'?", d.hub.scheduler, euler, { step = 1 })
    fails("first = 9, but there are 8 steps", d.hub.scheduler, euler, { steps = 8, first = 9 })
    fails("sigmas has only the level of the end; 2 or more expected", d.hub.scheduler, euler, { sigmas = { 0 } })
    fails("6 timesteps make 6 steps, but steps = 3", d.hub.scheduler, { _class_name = "DDPMScheduler" },
      { steps = 3, timesteps = { 6, 5, 4, 3, 2, 1 } })
  end)

  it("that diffusers can't take together are a sentence", function()
    local process, message = d.hub.scheduler({ _class_name = "LCMScheduler" }, { timesteps = { 900, 400 },
      strength = 0.5 })
    assert.is_nil(process)
    assert.matches("strength with timesteps", message)
    process, message = d.hub.scheduler({ _class_name = "TCDScheduler" }, { steps = 9, strength = 0.1 })
    assert.is_nil(process)
    assert.matches("9 steps, but strength = 0.1 leaves 5 timesteps", message, 1, true)
    process, message = d.hub.scheduler({ _class_name = "RePaintScheduler" }, { steps = 9, mask = d.ones(1, 2, 2, 1) })
    assert.is_nil(process)
    assert.matches("mask is given without original", message)
    process, message = d.hub.scheduler({ _class_name = "DPMSolverMultistepScheduler", use_flow_sigmas = true,
      use_karras_sigmas = true }, { steps = 5 })
    assert.is_nil(process)
    assert.matches("the curve karras: the sigma of step 1 of 5 is 157.407", message, 1, true)
  end)

  it("give a grid, or a function that makes one for the option grid", function()
    local process, sampler, make, wrap = d.hub.scheduler { _class_name = "DDIMScheduler" }
    local model = wrap(d.oracle.moons {}:denoiser(process))
    local o = { model = model, process = process, sampler = sampler, grid = make, shape = { 4, 2 }, steps = 5,
      seed = 1 }
    local x = d.sample(o)
    o.grid = select(3, d.hub.scheduler({ _class_name = "DDIMScheduler" }, { steps = 5 }))
    assert.is_true(x:equal(d.sample(o)))
    assert.same({ 801, 601, 401, 201, 1 }, o.grid:times())
  end)

  it("too many steps are a sentence", function()
    local process, message = d.hub.scheduler({ _class_name = "DPMSolverMultistepScheduler", num_train_timesteps = 10 },
      { steps = 20 })
    assert.is_nil(process)
    assert.matches("are both at timestep", message)
  end)
end)

describe("wrap", function()
  it("is the network itself where diffusers shows t - 1 and x", function()
    local wrap = select(4, d.hub.scheduler({ _class_name = "DDIMScheduler" }, { steps = 5 }))
    local function network() end
    assert.equal(network, wrap(network))
    fails("wrap: model must be a denoiser", wrap, 3)
  end)

  it("shows the network its times and scale, for one level or one a sample", function()
    local process, _, grid, wrap = d.hub.scheduler({ _class_name = "EDMEulerScheduler" }, { steps = 4 })
    local asked, told
    local model = wrap(function(x, t)
      asked, told = x, t
      return x
    end)
    local t, x = grid[2][1], d.ones(2, 3)
    local sigma = process.schedule:sigma(t)
    local y = model(x, t)
    assert.near(math.log(sigma) / 4, told - 1, 1e-6)
    assert.near(1 / math.sqrt(sigma ^ 2 + 0.25), asked[1][1], 1e-6)
    for _, levels in ipairs { { t, t }, d.tensor { t, t } } do
      assert.is_true(model(x, levels):allclose(y, { rtol = 1e-5, atol = 1e-7 }))
      assert.near(math.log(sigma) / 4, told[2] - 1, 1e-5)
    end
  end)

  it("lets gradients through", function()
    local process, _, _, wrap = d.hub.scheduler { _class_name = "EDMEulerScheduler" }
    local model = wrap(function(x) return x * x end)
    local t = process.T // 2
    local function loss(x) return model(x, t):sum() end
    local scale = 1 / (process.schedule:sigma(t) ^ 2 + 0.25)
    assert.near(2 * 3 * scale, d.grad(loss, d.tensor { { 3 } })[1][1], 1e-4 * scale)
  end)
end)

describe("an image", function()
  it("is sampled from a later step to the end of the whole run", function()
    local config = { _class_name = "DPMSolverMultistepScheduler" }
    local _, lowered, grid, _, facts = d.hub.scheduler(config, { steps = 20, first = 9 })
    local whole = select(5, d.hub.scheduler(config, { steps = 20 }))
    assert.equal(12, #grid)
    assert.equal(whole.timesteps[9], facts.timesteps[1])
    assert.equal(0, lowered.lower_order_final) -- counted over 20 steps
    local oracle = d.oracle.moons {}
    local process, sampler, rest, wrap = d.hub.scheduler(config, { steps = 20, first = 15 })
    local x0 = oracle:sample(50, { seed = 1 })
    local x = process:q_sample(x0, rest[1][1], { seed = 2 })
    local y = d.sample { model = wrap(oracle:denoiser(process)), process = process, sampler = sampler, grid = rest,
      init = x }
    assert.is_true((y - x0):abs():mean():item() < 0.7 * (y - x0:flip(1)):abs():mean():item())
  end)

  it("is clipped by a dynamic threshold with a quantile and a cap", function()
    local p = d.process { schedule = d.schedule.linear {}, clip = { ratio = 0.5, most = 2 } }
    local x = d.tensor { { 0.1, -0.2, 0.3 }, { 1.5, -1.4, 4 }, { 8, 6, -9 } }
    local q = { 1, 1.5, 2 }
    for b = 1, 3 do
      local want = x:narrow(1, b, 1):clamp(-q[b], q[b]) / q[b]
      assert.is_true(p:clipped(x):narrow(1, b, 1):allclose(want, { atol = 1e-6 }))
    end
    assert.matches("the quantile 0.5 of |x0| in [1, 2]", tostring(p), 1, true)
    fails("unknown option 'rato'", d.process, { schedule = p.schedule, clip = { rato = 1 } })
  end)
end)

if not double then
  describe("RePaint", function()
    it("keeps what is known", function()
      local original, mask = d.randn({ 2, 4, 4, 1 }, { seed = 1 }), d.cat({ d.ones(4, 2, 1), d.zeros(4, 2, 1) }, 2)
      local process, sampler, grid, wrap = d.hub.scheduler({ _class_name = "RePaintScheduler" },
        { steps = 12, jump_length = 4, jump_n_sample = 2, original = original, mask = mask })
      local x = d.sample { model = wrap(function(xt) return xt * 0.5 end), process = process, sampler = sampler,
        grid = grid, shape = { 2, 4, 4, 1 }, seed = 3 }
      assert.is_true(x:narrow(3, 1, 2):allclose(original:narrow(3, 1, 2), { atol = 1e-6 }))
      assert.is_false(x:narrow(3, 3, 2):allclose(original:narrow(3, 3, 2), { atol = 1e-2 }))
    end)
  end)
end
