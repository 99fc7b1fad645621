-- Samplers that add noise. Tested are their convergence to the paths and the distribution
-- of the reverse SDE, and identities among them. With noise = "brownian" one path serves
-- any number of steps.
local d = require "diffusion"
local called = require "spec.support.called"
local fails = require "spec.support.fails"

local mixture = d.oracle.mixture { means = { { -1 }, { 0.4 }, { 1.2 } }, std = { 0.3, 0.2, 0.4 },
                                   weights = { 0.3, 0.5, 0.2 } }

describe("along one Brownian path", function()
  -- and how many times finer the reference: dpmpp_sde is nearly as near in as many steps
  local samplers = { { "ddpm", 3 }, { "dpm2_ancestral", 3 }, { "dpmpp_2s_ancestral", 3 }, { "dpmpp_sde", 8 },
                     { "dpmpp_2m_sde", 3 }, { "dpmpp_3m_sde", 3 }, { { "predictor_corrector", corrections = 0 }, 3 } }

  for _, row in ipairs(samplers) do
    it(called(row[1]) .. " is of order 1", function()
      local order, rows = d.check.order(row[1], mixture, { samples = 130, seed = 2, steps = { 16, 96 }, fine = row[2],
                                                           reference = "dpmpp_3m_sde", quiet = true })
      assert.is_true(order > 0.9 and order < 1.3, ("order %.3f"):format(order))
      assert.is_true(rows[2][2] < 0.025, ("error %g"):format(rows[2][2]))
    end)
  end
end)

-- Levels of equal steps in ln sigma, from sigma = 20 to 0.05.
local vp = d.process { schedule = d.schedule.vp { T = 1000 } }
local function uniform(N)
  local times = {}
  for i = 0, N do times[i + 1] = vp.schedule:level_of_sigma(20 * (0.05 / 20) ^ (i / N)) end
  return d.grid.list(vp, times, { last = table.remove(times) })
end

describe("to the law of N(0.3, 0.5^2) at sigma = 0.05, from its own at sigma = 20,", function()
  local function gap(sampler, N)
    local grid = uniform(N)
    local a, s = vp.schedule:signal(grid.last), vp.schedule:noise(grid.last)
    local mean, variance = d.check.moments(sampler, { process = vp, mean = 0.3, std = 0.5, grid = grid,
                                                      exact_start = true })
    assert.near(0.3 * a, mean, 1e-12)
    return math.abs(variance - (a * 0.5) ^ 2 - s ^ 2)
  end
  local orders = {
    { "ddpm", 1 }, { { "ddim", eta = 0.5 }, 1 }, { { "euler_ancestral", eta = 0.5 }, 1 },
    { { "predictor_corrector", corrections = 0 }, 1 }, { "dpm2_ancestral", 2 }, { "dpmpp_2s_ancestral", 2 },
    { "dpmpp_sde", 2 }, { { "dpmpp_sde", eta = 0.5 }, 2 }, { "dpmpp_2m_sde", 2 },
    { { "dpmpp_2m_sde", form = "heun" }, 2 }, { "dpmpp_3m_sde", 2 }, { { "dpmpp_3m_sde", eta = 0.5 }, 2 },
  }
  for _, row in ipairs(orders) do
    it(("%s comes with order %d"):format(called(row[1]), row[2]), function()
      local coarse, fine = gap(row[1], 200), gap(row[1], 400)
      local order = math.log(coarse / fine, 2)
      assert.is_true(math.abs(order - row[2]) < 0.05, ("order %.3f"):format(order))
      assert.is_true(fine < (row[2] == 1 and 4e-3 or 4e-5), ("%g off"):format(fine))
    end)
  end
end)

describe("samplers that are one another on the same noise:", function()
  local p = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }
  local model = mixture:denoiser(p)
  local function run_of(sampler, noise, N)
    return d.sampler.steps { model = model, process = p, shape = { 20, 1 }, seed = 2, sampler = sampler, noise = noise,
                             steps = N or 20 }
  end
  local function same(one, other, N)
    for _, noise in ipairs { "independent", "brownian" } do
      local gap = (run_of(one, noise, N):finish() - run_of(other, noise, N):finish()):abs():max():item()
      assert.is_true(gap < 1e-11, ("%s: %g apart"):format(noise, gap))
    end
  end

  it("ddpm, ddim and euler_ancestral of eta = 1, the ancestral predictor", function()
    for _, sampler in ipairs { { "ddim", eta = 1 }, "euler_ancestral",
                               { "predictor_corrector", predictor = "ancestral", corrections = 0 } } do
      same("ddpm", sampler)
    end
    same({ "ddim", eta = 0.5 }, { "euler_ancestral", eta = 0.5 })
  end)
  it("ddpm and dpmpp_2m_sde, dpmpp_3m_sde that forget their history", function()
    for _, name in ipairs { "dpmpp_2m_sde", "dpmpp_3m_sde" } do
      for _, noise in ipairs { "independent", "brownian" } do
        local run = run_of(name, noise)
        for step in run do run.x = step.x end
        assert.is_true((run.x - run_of("ddpm", noise):finish()):abs():max():item() < 1e-11, name)
      end
      same("ddpm", name, 2)
    end
  end)
  it("those of eta = 0 and the ODE's", function()
    for name, ode in pairs { dpmpp_sde = "dpmpp_2s", dpmpp_2m_sde = "dpmpp_2m", euler_ancestral = "euler",
                             dpm2_ancestral = "dpm2", dpmpp_2s_ancestral = "dpmpp_2s", ddim = "dpm_solver" } do
      same({ name, eta = 0 }, ode == "dpm_solver" and { ode, order = 1 } or ode)
    end
  end)
end)

-- Those whose noise is of a path, for eta = 1.
local along = {
  "ddpm", { "ddim", eta = 1 }, "euler_ancestral", "dpm2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde",
  "dpmpp_3m_sde", { "predictor_corrector", corrections = 0 },
}

describe('noise = "brownian"', function()
  local p = d.process { schedule = d.schedule.linear { T = 1000 }, predict = "x0" }

  it("gives samples the variance that moments say", function()
    local oracle, n = d.oracle.gaussian { mean = { 0.3 }, std = 0.5 }, 5000
    for _, sampler in ipairs(along) do
      local mean, variance = d.check.moments(sampler, { process = p, mean = 0.3, std = 0.5, steps = 6 })
      local x = d.sample { model = oracle:denoiser(p), process = p, shape = { n, 1 }, sampler = sampler, steps = 6,
                           seed = 3, noise = "brownian" }
      assert.near(mean, x:mean():item(), 4 * math.sqrt(variance / n), called(sampler))
      assert.near(variance, x:var():item(), 4 * variance * math.sqrt(2 / n), called(sampler))
    end
  end)

  it("gives one seed nearly the same samples in 50 and in 100 steps; independent noise doesn't", function()
    local model = mixture:denoiser(p)
    local function apart(sampler, noise)
      local ends = {}
      for k, N in ipairs { 50, 100 } do
        ends[k] = d.sample { model = model, process = p, shape = { 60, 1 }, sampler = sampler, seed = 4,
                             grid = d.grid.exponential(p, N), noise = noise }
      end
      return (ends[1] - ends[2]):abs():quantile(0.5):item()
    end
    for _, sampler in ipairs(along) do
      local path, fresh = apart(sampler, "brownian"), apart(sampler, "independent")
      assert.is_true(path < 0.06 and fresh > 0.3, ("%s: %g, %g"):format(called(sampler), path, fresh))
    end
  end)
end)

describe("d.check.order of samplers that add noise", function()
  local few = { samples = 2, steps = { 4, 8 }, fine = 2, exact = 10, quiet = true }
  local function with(o)
    for k, v in pairs(few) do if o[k] == nil then o[k] = v end end
    return o
  end

  it("names the reference, and counts evaluations", function()
    local lines, print_was = {}, print
    _G.print = function(line) lines[#lines + 1] = line end
    local ok, order, rows = pcall(d.check.order, "dpmpp_sde", mixture, with { quiet = false })
    _G.print = print_was
    assert(ok, order)
    assert.matches("error from dpmpp_sde in 16 steps along the same Brownian path$", lines[1])
    assert.same({ 8, 16 }, { rows[1][4], rows[2][4] })
    local _, others = d.check.order("dpmpp_sde", mixture, with { seed = 7 })
    assert.are_not.equal(rows[1][2], others[1][2])
  end)

  it("refuses noise that is no path's, and what fits only the ODE or only a path", function()
    for _, sampler in ipairs { { "euler_churn", s_churn = 4 }, { "heun", s_churn = 4 }, "lcm", "annealed_langevin",
                               "predictor_corrector" } do
      local name = type(sampler) == "table" and sampler[1] or sampler
      fails("the noise that " .. name .. " adds has no path", d.check.order, sampler, mixture, with {})
    end
    d.check.order("euler_churn", mixture, with {})
    local order = d.check.order({ "euler_ancestral", eta = 0 }, mixture, with {})
    assert.equal(d.check.order("euler", mixture, with {}), order)
    local function refuses(sentence, sampler, o) fails(sentence, d.check.order, sampler, mixture, with(o)) end
    refuses("start = 2 exact steps need the ODE's solution", "dpmpp_3m_sde", { start = 2 })
    refuses("a reference is for samplers that add noise", "heun", { reference = "dpmpp_sde" })
    refuses("the reference heun adds no noise", "ddpm", { reference = "heun" })
    refuses("did you mean 'ddpm'", "ddpm", { reference = "ddmp" })
    refuses("ddim_inversion goes from data to noise", "ddim_inversion", {})
    refuses("option 'fine'", "ddpm", { fine = 1 })
  end)
end)
