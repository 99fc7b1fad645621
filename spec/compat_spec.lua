-- Other libraries' samplers through presets, held to what diffusers' own tests expect and to
-- recorded runs of it. DIFFUSION_COMPAT=1 prints how each row came out.
local d = require "diffusion"
local json = require "diffusion.file.json"
local rows = dofile "spec/support/peer_rows.lua"
local records = dofile "spec/support/peer_records.lua"
local fails = dofile "spec/support/fails.lua"

local double = d.zeros(1):dtype() == "f64"
local published = "spec/fixtures/scheduler_expected.tsv"

describe("rows that diffusers' tests expect", function()
  for i, row in ipairs(rows.read(published)) do
    local name = ("%d %s %s"):format(i, row.class, row.test:match "[^.]*$")
    if not rows.reason(row) then
      it(name .. " is ours", function()
        local how, sum, mean = rows.judge(row)
        assert.are_not.equal("failed", how, ("%s: sum %s, mean %s"):format(name, sum, mean))
      end)
    end
  end

  it("are 88, of which two are left out, and ten are met when our doubles are rounded as the peer's", function()
    local count, lines = rows.summary(published)
    if os.getenv "DIFFUSION_COMPAT" then print("\n" .. table.concat(lines, "\n")) end
    assert.same({ float64 = double and 75 or 76, float32 = double and 11 or 10, ["not covered"] = 2 }, count)
  end)

  it("that are left out are what the table says", function()
    local left = {}
    for _, row in ipairs(rows.read(published)) do
      if rows.reason(row) then left[row.class] = (left[row.class] or 0) + 1 end
    end
    assert.same({ DPMSolverSDEScheduler = 1, ScoreSdeVeScheduler = 1 }, left)
  end)

  it("are, where they are met by rounding, what the peer gives in double when we don't round", function()
    local compared = 0
    for _, row in ipairs(rows.read(published)) do
      local want, got = rows.compare_in_double(row)
      if want then
        compared = compared + 1
        assert.is_true(math.abs(got - want) < (double and 1e-8 or 1e-5) * want, ("%.12g, %.12g"):format(want, got))
      end
    end
    assert.equal(10, compared)
  end)

  it("show what is a little wrong", function()
    local all = rows.read(published)
    all[3].config.set_alpha_to_one = true
    all[27].config.lower_order_final = false
    all[33].config.solver_type = "heun"
    all[55].config.beta_end = 0.020001
    all[83].config.solver_type = "bh1"
    for _, i in ipairs { 3, 27, 33, 55, 83 } do assert.equal("failed", (rows.judge(all[i])), all[i].test) end
  end)
end)

describe("recorded runs of diffusers", function()
  local file <close> = assert(io.open "spec/fixtures/scheduler_trajectories.json")
  local all = assert(json.decode(file:read "a")).records

  for i, record in ipairs(all) do
    it(("%d %s: times told, sums after every step, the end"):format(i, record.scheduler), function()
      local worst, compared = records.compare(record)
      assert.is_true(worst <= 1, ("%.3g times what is allowed"):format(worst))
      -- the peer's NaN at the end of five of UniPC
      assert.is_true(compared >= record.n - 1)
    end)
  end

  it("are 85", function() assert.equal(85, #all) end)
end)

describe("d.sampler.preset", function()
  local p = d.process { schedule = d.schedule.linear() }
  local model = d.oracle.gaussian { mean = { 0, 0 }, std = 0.5 }:denoiser(p)

  it("gives what the option sampler takes, as its name alone does", function()
    assert.same({ "dpmpp_2m", lower_order_final = 15, form = "heun" },
      d.sampler.preset("diffusers-dpmpp-2m", { form = "heun" }))
    local function end_of(sampler)
      return d.sample { model = model, process = p, shape = { 3, 2 }, steps = 6, seed = 1, sampler = sampler }
    end
    local made = end_of(d.sampler.preset "diffusers-dpmpp-2m")
    assert.is_true(made:equal(end_of "diffusers-dpmpp-2m"))
    assert.is_true(made:equal(end_of { "dpmpp_2m", lower_order_final = 15 }))
    assert.is_false(made:allclose(end_of { "diffusers-dpmpp-2m", form = "heun" }, { atol = 1e-4 }))
  end)

  it("of every name runs, and stands in no list of our own", function()
    local own = {}
    for _, name in ipairs(d.sampler.names()) do own[name] = true end
    local flow = d.process { schedule = d.schedule.flow(), predict = "flow" }
    for _, name in ipairs(d.sampler.presets()) do
      assert.is_nil(own[name], name)
      local q = name:find "flow" and flow or p
      local x = d.sample { model = function(xt) return xt * 0.5 end, process = q, steps = 4,
                           init = d.full({ 2, 2 }, 0.5), sampler = name, seed = 3 }
      assert.is_true(x:isfinite():all(), name)
    end
    assert.is_true(#d.sampler.presets() >= 50)
  end)

  it("refuses names and options that it doesn't know", function()
    fails("sampler.preset: unknown preset 'diffusers-ddmi'; did you mean 'diffusers-ddim'?", d.sampler.preset,
      "diffusers-ddmi")
    fails("unknown option 'fomr'; did you mean 'form'?", d.sampler.preset, "diffusers-dpmpp-2m", { fomr = "heun" })
    fails("bad argument #2 to 'sampler.preset' (a table of options expected, got 'heun')", d.sampler.preset,
      "diffusers-dpmpp-2m", "heun")
    fails("so it clips x0 itself; give it clip = 1, and the process none", d.sample, { model = model, shape = { 1, 2 },
      process = d.process { schedule = p.schedule, clip = 1 }, sampler = "diffusers-ddim-eps-of-unclipped-x0" })
    fails("sampler: unknown sampler 'diffusers-dim'", d.sampler.steps,
      { model = model, process = p, shape = { 1, 2 }, sampler = "diffusers-dim" })
  end)
end)

describe("noise of one's own", function()
  local p = d.process { schedule = d.schedule.linear() }
  local model = d.oracle.gaussian { mean = { 0, 0 }, std = 0.5 }:denoiser(p)

  local function run(options)
    local o = { model = model, process = p, shape = { 8, 2 }, steps = 3, sampler = "ddpm" }
    for key, value in pairs(options) do o[key] = value end
    return d.sampler.steps(o)
  end

  it("from a generator is its start and then a draw at each step that adds some", function()
    local g = d.generator { kind = "torch", seed = 7 }
    local x = run { noise = d.generator { kind = "torch", seed = 7 } }:finish()
    local z = { g:randn(8, 2), g:randn(8, 2), g:randn(8, 2) }
    local y = z[1]
    for i, pair in ipairs(d.grid.trailing(p, 3)) do
      local t, s = pair[1], pair[2]
      local x0 = p:convert(model(y, t), { from = "eps", to = "x0", xt = y, t = t })
      local mean, variance = p:posterior(x0, y, t, s)
      y = s > 0 and mean + z[i + 1] * math.sqrt(variance) or mean
    end
    assert.is_true(x:allclose(y, { atol = 1e-5 }))
  end)

  it("from a function is what it returns, asked with x", function()
    local asked = 0
    local function normals(x)
      asked = asked + 1
      return d.full(x:shape(), asked)
    end
    local r = run { noise = normals }
    assert.equal(1, r.x[1][1])
    r:finish()
    assert.equal(3, asked)
    run { noise = normals, init = d.zeros(8, 2), sampler = "ddim" }:finish()
    assert.equal(3, asked)
    local real = d.zeros(1):dtype()
    fails(("sampler: the function given as noise must return %s [8,2], got a tensor [2,8]"):format(real),
      function() run { noise = function() return d.zeros(2, 8) end } end)
    fails(("given as noise must return %s [8,2], got nil"):format(real), function() run { noise = function() end } end)
  end)

  it("from a list of generators is a sample's own, whatever the batch", function()
    local function list(...)
      local out = {}
      for i, seed in ipairs { ... } do out[i] = d.generator { kind = "torch", seed = seed } end
      return out
    end
    local both, one = run { noise = list(3, 4), shape = { 2, 2 } }, run { noise = list(4), shape = { 1, 2 } }
    assert.is_true(both:finish():narrow(1, 2, 1):allclose(one:finish(), { atol = 1e-6 }))
    fails("a list of 1 generators for a batch", function() run { noise = list(1) } end)
  end)

  it("serves a solver that is asked twice within a step", function()
    local x = run { noise = d.generator { seed = 1 }, sampler = "dpmpp_sde", steps = 5 }:finish()
    assert.is_true(x:isfinite():all())
    assert.is_true(x:equal(run { noise = d.generator { seed = 1 }, sampler = "dpmpp_sde", steps = 5 }:finish()))
  end)

  it("isn't saved, and must be one", function()
    fails("run:save: this run's noise is a generator, whose state can't be saved; use seed =",
      function() run { noise = d.generator {} }:save "run.safetensors" end)
    fails("(option 'noise': unknown value 'torch'; valid: independent, brownian)",
      function() run { noise = "torch" } end)
  end)
end)

describe("a sampler's preset on a grid's, by their names alone,", function()
  it("is DPMSolverMultistep with karras sigmas and v, step by step", function()
    local found
    for _, r in ipairs(json.decode(io.open("spec/fixtures/scheduler_trajectories.json"):read "a").records) do
      if r.scheduler == "DPMSolverMultistepScheduler" and r.config.use_karras_sigmas then found = r end
    end
    local x = d.arange(0, 767):reshape(192, 4):t():contiguous():reshape(4, 3, 8, 8) / 768
    local run = d.sampler.steps { init = x, steps = found.n, sampler = "diffusers-dpmpp-2m",
      grid = "diffusers-dpm-karras", model = function(xt, t) return xt * ((t - 1) / t) end,
      process = d.process { schedule = d.schedule.scaled_linear { T = 1000 }, predict = "v" } }
    for step in run do
      assert.near(1, step.x:abs():sum():item() / found.traj_sum_abs[step.i], 1e-5)
    end
  end)
end)
