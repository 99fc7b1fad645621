-- The same in double, where nothing of ours rounds. Then the gradient in every parameter, by differences.
assert(loadfile("spec/autoencoderkl_spec.lua", "t", _ENV))()

local d = require "diffusion"
local gap = require "spec.support.slope"

local types = { down_block_types = { "AttnDownEncoderBlock2D", "DownEncoderBlock2D" },
  up_block_types = { "UpDecoderBlock2D", "UpDecoderBlock2D" } }

describe("the gradient of an autoencoder, by differences", function()
  local function model_of()
    d.manual_seed(3)
    local model = d.autoencoderkl { block_out_channels = { 4, 4 }, norm_num_groups = 2, latent_channels = 2,
      in_channels = 2, out_channels = 2, down_block_types = types.down_block_types,
      up_block_types = types.up_block_types }
    for _, p in model:parameters() do p:add_(d.randn(p:shape()) * 0.3) end
    return model
  end

  local function check(model, loss, x)
    d.record(loss, x):backward()
    local function value() return (loss(x)) end
    for name, p in model:parameters() do
      if p.grad then
        local worst = gap(value, p, p.grad)
        assert(worst < 1e-6, ("%s: %g"):format(name, worst))
      end
    end
    assert(gap(value, x, (d.grad(loss, x))) < 1e-6)
  end

  it("called for training", function()
    local model, x, eps = model_of(), d.randn(2, 4, 4, 2), d.randn(2, 2, 2, 2)
    local k = d.randn(2, 4, 4, 2)
    check(model, function(v)
      local y, divergence = model(v, { eps = eps })
      return (y * k):sum() + divergence:sum()
    end, x)
  end)

  it("in tiles", function()
    local model, z, k = model_of(), d.randn(1, 5, 3, 2), d.randn(1, 10, 6, 2) -- tiles of 3 latents, 2 of them shared
    check(model, function(v) return (model:decode(v, { tile = { size = 6, overlap = 0.4 } }) * k):sum() end, z)
    local x, c = d.randn(1, 10, 6, 2), d.randn(1, 5, 3, 2)
    model = model_of()
    check(model, function(v)
      local mean, std = model:encode(v, { tile = { size = 6, overlap = 0.4 } })
      return ((mean + std * 2) * c):sum()
    end, x)
  end)
end)
