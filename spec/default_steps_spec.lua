-- How many steps are taken where no number is given: 50, or T where T is less.
local d = require "diffusion"

local function process(T) return d.process { schedule = d.schedule.cosine { T = T }, predict = "x0" } end
local function model(xt) return xt * 0.5 end

local function steps_of(T, sampler)
  return #d.sampler.steps { model = model, process = process(T), shape = { 1, 2 }, sampler = sampler }.grid
end

describe("steps, not given,", function()
  it("are 50 for a sampler, or T where T is less", function()
    for _, name in ipairs { "unipc", "ddim", "heun", "dpmpp_2m", "euler_ancestral", "lcm", "diffusers-pndm" } do
      assert.same({ name, 50, 7 }, { name, steps_of(1000, name), steps_of(7, name) })
    end
    local function own(denoise) return function(x, pair) return (denoise(x, pair.t)) end end
    assert.equal(50, steps_of(1000, own))
    local run = d.sampler.steps { model = model, process = process(1000), shape = { 1, 2 }, grid = "karras" }
    assert.equal(50, #run.grid)
  end)

  it("are all T for those that were published so", function()
    for _, name in ipairs { "ddpm", "annealed_langevin", "predictor_corrector", "guided-diffusion-ddpm",
                            "diffusers-ddpm-noise-in-last-step" } do
      assert.same({ name, 200 }, { name, steps_of(200, name) })
      assert.truthy(d.sampler.explain(name):find("T steps by default", 1, true))
    end
    assert.equal(1, steps_of(200, "rk45"))
  end)

  it("count the evaluations of d.sample", function()
    local n = 0
    local function counted(xt) n = n + 1 return xt end
    d.sample { model = counted, process = process(1000), shape = { 1, 2 }, sampler = "ddim" }
    assert.equal(50, n)
  end)

  it("are as many for edits, or all whole levels where these are fewer", function()
    local x0, p = d.zeros(1, 2), process(1000)
    assert.equal(50, d.edit.plan { process = p, strength = 0.5 }.steps)
    assert.equal(30, d.edit.plan { process = p, start = 30 }.steps)
    local function plan(sampler)
      return select(2, d.edit.img2img { model = model, process = p, x0 = x0, start = 200, sampler = sampler })
    end
    assert.equal(50, plan "unipc".steps)
    assert.equal(200, plan "ddpm".steps)
    assert.equal(1, plan "rk45".steps)
    local _, way = d.edit.interpolate { model = model, process = p, a = x0, b = x0 }
    assert.equal(50, way.steps)
    local _, report = d.edit.invert { model = model, process = p, x0 = x0, exact = false }
    assert.equal(50, #report.grid)
    assert.equal(250, #d.edit.repaint_plan { process = p }.grid)
    assert.equal(50, #d.edit.repaint_plan { process = p, sampler = "ddim" }.grid)
  end)

  it("are as many for moments and pairs", function()
    local n = 0
    local flow = d.process { schedule = d.schedule.flow {}, predict = "flow" }
    d.reflow(function(xt) n = n + 1 return xt end, flow, { shape = { 2, 2 }, sampler = "ddim" })
    assert.equal(50, n)
    local p = process(100)
    local function variance(o) return select(2, d.check.moments("ddim", o)) end
    assert.equal(variance { process = p, steps = 50, std = 0.5 }, variance { process = p, std = 0.5 })
  end)
end)
