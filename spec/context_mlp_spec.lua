-- A conditional network: it learns p(x0 | context), of which every moment is known.
local d = require "diffusion"
local fails = require "spec.support.fails"

describe("d.context_mlp", function()
  local process = d.process { schedule = d.schedule.cosine { T = 200 }, predict = "v" }

  -- x0 = A c + s n: given c, the mean is A c and the standard deviation s
  local s, A = 0.3, d.tensor { { 1, 0.5 }, { -0.5, 1 } }
  local function pairs_of(n)
    local c = d.randn(n, 2)
    return c:matmul(A) + d.randn(n, 2) * s, c
  end

  it("learns the mean and the deviation of data that depend on its context", function()
    d.manual_seed(5)
    local model = d.context_mlp { hidden = 64, depth = 2 }
    local objective = d.objective { process = process }
    local opt = d.adamw(model, { lr = d.lr.warmup_cosine { peak = 4e-3, warmup = 50, total = 1200 }, clip = 1 })
    for _ = 1, 1200 do
      local x0, c = pairs_of(256)
      d.record(objective, model, x0, { inputs = { context = c } }):backward()
      opt:step()
    end
    for _, c in ipairs { { 1, 1 }, { -1, 0.5 } } do
      local context = d.tensor(c):reshape(1, 2):expand(2000, 2):contiguous()
      local x = d.sample { model = model, process = process, shape = { 2000, 2 }, inputs = { context = context },
        steps = 20, seed = 3 }
      local mean = context:narrow(1, 1, 1):matmul(A):totable()[1]
      for i = 1, 2 do
        local column = x:narrow(2, i, 1)
        local got = column:mean():item()
        assert.is_true(math.abs(got - mean[i]) < 0.12, ("mean %g, not %g"):format(got, mean[i]))
        assert.is_true(math.abs(column:std():item() - s) < 0.08, ("std %g"):format(column:std():item()))
      end
    end
  end)

  it("is unconditional without a context, and guided towards one", function()
    local model = d.context_mlp { hidden = 16, depth = 1 }
    for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.3) end
    local x, c = d.randn(4, 2), d.randn(4, 2)
    local u, own = model(x, 5), model(x, 5, { context = c })
    assert.is_false(u:equal(own))
    local guided = d.guidance.cfg(model, { scale = 3, without = { context = d.zeros(4, 2) } })
    local bare = model(x, 5, { context = d.zeros(4, 2) })
    assert.is_true((guided(x, 5, { context = c }) - (bare + (own - bare) * 3)):abs():max():item() < 1e-5)
  end)

  it("refuses a context that does not fit", function()
    local model = d.context_mlp { context = 3, hidden = 8, depth = 1 }
    local x = d.randn(4, 2)
    fails("context_mlp: context is [4,2], but this network takes [B,3]", model, x, 5, { context = d.randn(4, 2) })
    fails("context_mlp: context is [2,3], but B is 4 in x [4,2]", model, x, 5, { context = d.randn(2, 3) })
    fails("unknown option 'contxt'; did you mean 'context'?", model, x, 5, { contxt = d.randn(4, 3) })
    fails("sampler: input 'context' is [3,3] for 4 samples", d.sample,
      { model = model, process = process, shape = { 4, 2 }, inputs = { context = d.randn(3, 3) } })
    fails("input 'context' must be a tensor, got 3", d.objective { process = process }, model, x,
      { inputs = { context = 3 } })
  end)
end)
