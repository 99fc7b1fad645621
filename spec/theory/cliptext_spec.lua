-- The same in double, where nothing of ours rounds. Then the gradient in every parameter, by differences.
assert(loadfile("spec/cliptext_spec.lua", "t", _ENV))()

local d = require "diffusion"
local gap = require "spec.support.slope"

describe("the gradient of a text encoder, by differences", function()
  for _, act in ipairs { "quick_gelu", "gelu", "gelu_new", "mish" } do
    it("with " .. act, function()
      d.manual_seed(3)
      local model = d.cliptext { vocab_size = 9, hidden_size = 6, intermediate_size = 5, projection_dim = 3,
        num_hidden_layers = 2, num_attention_heads = 2, max_position_embeddings = 5, eos_token_id = 8,
        hidden_act = act, projection = true }
      for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.3) end
      local ids, rows = { { 7, 1, 8, 9 }, { 7, 2, 3, 8 } }, d.randn(1, 6)
      local k, c = d.randn(2, 4, 6), d.randn(2, 3)
      local function loss(x)
        model.added[1] = x or rows
        local states, pooled = model(ids, { skip = 1 })
        return (states * k):sum() + (pooled * c):sum()
      end
      d.record(loss):backward()
      for name, p in model:parameters() do
        local worst = gap(loss, p, p.grad)
        assert(worst < 1e-6, ("%s: %g"):format(name, worst))
      end
      local slope = d.grad(loss, rows)
      assert(gap(loss, rows, slope) < 1e-6)
    end)
  end
end)
