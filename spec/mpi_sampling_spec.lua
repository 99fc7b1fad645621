-- Sampling, likelihoods and metrics over ranks give one process's bits and numbers.
local child = dofile "spec/support/child.lua"
local ranks = dofile "spec/support/ranks.lua"

local absence, folder = ranks.absence(), nil
setup(function() folder = child.folder() end)
teardown(function() child.remove(folder) end)

local function test(name, fn)
  if absence then pending(name .. " (" .. absence .. ")") else it(name, fn) end
end

-- Prints values of samples, likelihoods and metrics. The argument is "plain" without ranks.
local values = [[
local d = require "diffusion"
local over = ... == "ranks" and d.mpi or nil
local model, process = d.load_model "digits"
local class = d.arange(0, 6):to "i64"
local out = {}
local function add(x)
  if type(x) == "number" then out[#out + 1] = ("%.17g"):format(x) return end
  for _, v in ipairs(x:flatten():totable()) do out[#out + 1] = ("%.9g"):format(v) end
end
d.manual_seed(over and over.rank or 0)
for _, sampler in ipairs { "ddpm", "dpmpp_2m", "euler_ancestral" } do
  add(d.sample { model = model, process = process, shape = { 7, 8, 8, 1 }, class = class, guidance = 2, seed = 5,
                 sampler = sampler, steps = 5, noise = sampler == "ddpm" and "brownian" or nil, over = over })
end
local generators = {}
for i = 1, 2 do generators[i] = d.generator { seed = i } end
add(d.sample { model = model, process = process, shape = { 2, 8, 8, 1 }, noise = generators, sampler = "ddpm",
               steps = 3, over = over })
local x0 = d.image.to_float(d.data.digits().x:narrow(1, 1, 5))
local bound = d.likelihood.vlb(model, process, x0, { t = 4, seed = 2, class = { 1, 2, 3, 4, 5 }, over = over })
add(bound.total) add(bound.error) add(bound.per_sample) add(bound.samples) add(bound.terms[2].value)
local points = d.oracle.moons {}
local flow = d.process { schedule = d.schedule.flow {}, predict = "x0" }
local ode = d.likelihood.ode(points:denoiser(flow), flow, points:sample(5, { seed = 1 }),
  { divergence = "hutchinson", over = over })
add(ode.nats) add(ode.mean) add(ode.evaluations)
for _, how in ipairs { "exact", "hutchinson" } do -- 2 samples on 3 ranks
  local few = d.likelihood.ode(points:denoiser(flow), flow, points:sample(2, { seed = 1 }),
    { divergence = how, over = over })
  add(few.nats) add(few.from) add(few.to)
end
add(d.likelihood.vlb(model, process, x0:narrow(1, 1, 2), { t = 4, seed = 2, class = { 1, 2 }, over = over }).total)
local pictures = d.rand({ 5, 28, 28, 1 }, { seed = 1 })
add(d.metric.fashion_frechet(pictures, { over = over })) add(d.metric.fashion_accuracy(pictures, 1, { over = over }))
add(d.metric.fashion_features(pictures, { over = over }))
if not over or over.rank == over.size - 1 then print("values " .. table.concat(out, " ")) end
]]

describe("over ranks", function()
  test("samples, likelihoods and metrics are those of one process", function()
    child.write(folder .. "/values.lua", values)
    local function printed(n, how)
      local out, code = ranks.run(n, folder .. "/values.lua", { how })
      assert(code == 0, out)
      return (assert(out:match "values ([^\n]*)", out))
    end
    local plain = printed(0, "plain")
    assert(#plain > 10000)
    for _, n in ipairs { 1, 2, 3 } do assert.is_true(plain == printed(n, "ranks"), n .. " ranks differ") end
  end)

  test("one generator for all samples is refused", function()
    child.write(folder .. "/refused.lua", [[
local d = require "diffusion"
local model, process = d.load_model "digits"
local fine, message = pcall(d.sample, { model = model, process = process, shape = { 2, 8, 8, 1 }, steps = 2,
  noise = d.generator { seed = 1 }, over = d.mpi })
assert(not fine and message:find("draws the samples of a batch together", 1, true), message)]])
    local out, code = ranks.run(0, folder .. "/refused.lua")
    assert(code == 0, out)
  end)
end)
