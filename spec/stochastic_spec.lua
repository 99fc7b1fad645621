-- Runs with noise = "brownian": one path of a seed for any steps, whoever walks it. Its law and
-- what it makes of solvers are in spec/theory/stochastic_spec.lua.
local d = require "diffusion"
local fails = require "spec.support.fails"
local families = require "diffusion.sampler.families"

local p = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }
local model = d.oracle.mixture { means = { { -1, 0 }, { 1, 0.5 } }, std = 0.2 }:denoiser(p)
local ten = { 180, 160, 140, 120, 100, 80, 60, 40, 20, 10 }

-- Every sampler that adds noise, and those that do when asked to.
local samplers = { { "ddim", eta = 1 }, { "heun", s_churn = 5 }, { "euler_churn", s_churn = 5 } }
for _, name in ipairs(d.sampler.names()) do
  local _, solver = families.resolve(name)
  if solver.stochastic and name ~= "euler_churn" then samplers[#samplers + 1] = { name } end
end

local function run_of(sampler, o)
  local options = { model = model, process = p, shape = { 5, 2 }, sampler = sampler, grid = ten, seed = 3,
                    noise = "brownian" }
  for k, v in pairs(o or {}) do options[k] = v end
  return d.sampler.steps(options)
end

describe("a run on a Brownian path", function()
  for _, sampler in ipairs(samplers) do
    it("gives sample k the same bits alone, in a batch and on any threads: " .. sampler[1], function()
      local all = run_of(sampler, { shape = { 64, 2 } }):finish()
      assert.is_true(all:narrow(1, 1, 1):equal(run_of(sampler, { shape = { 1, 2 } }):finish()))
      local before = d.threads()
      for n = 1, 3 do
        d.threads(n)
        assert.is_true(run_of(sampler, { shape = { 64, 2 } }):finish():equal(all))
      end
      d.threads(before)
    end)

    it("is cloned midway, saved and loaded, and all roads end alike: " .. sampler[1], function()
      local run, path = run_of(sampler), os.tmpname()
      for _ = 1, 4 do run() end
      local cloned, other = run:clone(), run_of(sampler, { seed = 8 })
      assert(run:save(path))
      assert(other:load(path))
      os.remove(path)
      assert.is_true(run:finish():equal(cloned:finish()))
      assert.is_true(run.x:equal(other:finish()))
      assert.is_false(run.x:equal(run_of(sampler, { seed = 8 }):finish()))
    end)
  end

  it("has the path of its seed, not of its history: steps may be left out, and x written", function()
    -- with eta = 1 and a model that always says 0, x_s = (s_s/s_t) e^-h x_t + noise: one step is
    -- what its halves add up to
    local q = d.process { schedule = p.schedule, predict = "x0" }
    local function ends(grid)
      return run_of("dpmpp_2m_sde", { model = function(x) return x * 0 end, process = q, grid = grid })
    end
    local whole, halves = ends { 180, 100, 20 }, ends { 180, 140, 100, 20 }
    whole()
    halves()
    halves()
    assert.is_true(whole.x:allclose(halves.x, { atol = 1e-5 }))
    halves.x = whole.x
    assert.is_true(whole().x:equal(halves().x))
  end)

  it("starts where x holds no signal", function()
    local zero = d.process { schedule = d.schedule.cosine { T = 200 }:rescale_zero_terminal_snr(), predict = "v" }
    for _, sampler in ipairs { "ddpm", { "ddim", eta = 1 }, "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde",
                               "dpmpp_2s_ancestral" } do
      for _, noise in ipairs { "independent", "brownian" } do
        local run = run_of(sampler, { process = zero, grid = { 200, 120, 60, 20 }, noise = noise, shape = { 400, 2 } })
        local first = run()
        assert.is_true(first.x:isfinite():all())
        -- all noise is fresh with eta = 1: nothing of the start is left
        assert.is_true(math.abs((first.x * first.xt):mean():item()) < 4 / math.sqrt(800))
        assert.is_true(run:finish():isfinite():all())
      end
    end
  end)

  it("is not one on independent noise", function()
    local path = os.tmpname()
    assert(run_of("ddpm"):save(path))
    local ok, message = run_of("ddpm", { noise = "independent" }):load(path)
    os.remove(path)
    assert.is_nil(ok)
    assert.truthy(message:find("its noise is brownian, this run's is independent", 1, true), message)
    fails("option 'noise'", run_of, "ddpm", { noise = "brown" })
  end)
end)

describe("independent noise", function()
  it("of a step that failed halfway is what it would have been", function()
    for _, name in ipairs { "dpmpp_sde", "predictor_corrector", "dpm2_ancestral" } do
      local calls = 0
      local function failing(xt, t, o)
        calls = calls + 1
        if calls == 8 then error "no more" end
        return model(xt, t, o)
      end
      local run = run_of({ name }, { noise = "independent", model = failing })
      fails("no more", run.finish, run)
      assert.equal(3, run.i)
      assert.is_true(run:finish():equal(run_of({ name }, { noise = "independent" }):finish()), name)
    end
  end)

  it("is finite for any eta", function()
    for _, name in ipairs { "dpmpp_sde", "dpmpp_2m_sde", "dpm2_ancestral", "dpmpp_2s_ancestral" } do
      for _, eta in ipairs { 1e-9, 1.5, 1e4 } do
        local x = run_of({ name, eta = eta }, { noise = "independent", shape = { 50, 2 } }):finish()
        assert.is_true(x:isfinite():all() and x:abs():max():item() < 5, ("%s %g"):format(name, eta))
      end
    end
  end)

  it("is new in each step that stands alone, from the same level too", function()
    local function denoise(x, t) return p:estimate(model(x, t), x, t) end
    for _, name in ipairs { "ddpm", "dpmpp_sde", "euler_ancestral", "lcm" } do
      local step, x = d.sampler.step(name, denoise, p, { seed = 1 }), d.randn({ 2000, 2 }, { seed = 2 })
      local pair = { t = 100, s = 60, i = 1, n = 1 }
      local one, other, mean = step(x, pair, {}), step(x, pair, {}), d.zeros(2000, 2)
      for _ = 1, 20 do mean = mean + step(x, pair, {}) / 20 end
      one, other = one - mean, other - mean
      local share = (one * other):mean():item() / (one:std():item() * other:std():item())
      assert.is_true(math.abs(share) < 0.1, ("%s: %.3f"):format(name, share))
    end
  end)
end)
