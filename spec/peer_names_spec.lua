-- Networks under the names and layouts of other libraries: renaming both ways, layouts as windows,
-- tensors that are missing or unexpected.
local d = require "diffusion"
local family = require "diffusion.nn.family"
local fails = require "spec.support.fails"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"

local entry = {
  class = "ToyModel",
  names = { { "one.norm", "norm1" }, { "one.conv", "conv1" }, { "one", "linear_1" }, { "attention.out", "to_out.0" },
    { "attention.q", "to_q" }, { "layers.*.norm", "blocks.*.ln.inner" } },
  older = { { "query", "to_q" }, { "proj_attn", "to_out.0" } },
  ignored = { "position_ids", "buffers.mask" },
  ours = { "recompute" },
}

local toy = { name = "toy", peers = { diffusers = entry } }
toy.options = {
  width = family.size(4, 1, "width"),
  heads = { "integer|boolean", default = 8, text = "heads; false for one" },
  groups = { "integer", text = "groups" },
  affine = { "boolean", default = true, text = "affine" },
  recompute = family.recompute,
}
function toy.text() return "" end
function toy.inputs() return { { "x", shape = { "B", "H", "W", 3 } } } end
function toy.build(net, o)
  local h = net:norm_conv("one", net.x, { out = o.width, groups = 1 })
  h = net:linear("attention.q", h, { out = 5 })
  return net:conv("attention.out", h, { out = 2, kernel = 1, pad = 0, bias = false })
end

local function weights(o)
  local given = { ["norm1.weight"] = d.randn { 3 }, ["norm1.bias"] = d.randn { 3 },
    ["conv1.weight"] = d.randn { 4, 3, 3, 3 }, ["conv1.bias"] = d.randn { 4 },
    ["query.weight"] = d.randn { 5, 4, 1, 1 }, ["query.bias"] = d.randn { 1, 5 },
    ["proj_attn.weight"] = d.randn { 2, 5 }, ["text.position_ids"] = d.tensor({ 1, 2 }, { dtype = "i64" }) }
  for key, x in pairs(o or {}) do given[key] = x or nil end
  return given
end

describe("names of another library", function()
  it("are runs of whole parts, the longest first", function()
    for ours, theirs in pairs {
      ["down.0.one.norm.weight"] = "down.0.norm1.weight",
      ["one.conv.bias"] = "conv1.bias",
      ["time.one.weight"] = "time.linear_1.weight",
      ["a.attention.out.weight"] = "a.to_out.0.weight",
      ["layers.3.norm.bias"] = "blocks.3.ln.inner.bias",
      ["layers.norm.bias"] = "layers.norm.bias",
      ["done.normal.attention.queue"] = "done.normal.attention.queue",
      ["one"] = "linear_1",
    } do
      assert.equal(theirs, peers.theirs(entry, ours))
      assert.equal(ours, peers.ours(entry, theirs))
    end
  end)

  it("may be older ones", function()
    assert.equal("mid.attention.q.weight", peers.ours(entry, "mid.query.weight"))
    assert.equal("mid.attention.out.bias", peers.ours(entry, "mid.proj_attn.bias"))
    assert.equal("mid.query_key.weight", peers.ours(entry, "mid.query_key.weight"))
  end)
end)

describe("weights of another library", function()
  it("become a model's, copied, or adopted as windows", function()
    local given = weights()
    local copied, adopted = peers.model(toy, {}, given), peers.model(toy, {}, given, { frozen = true })
    local w = given["conv1.weight"]
    assert.is_true(copied:state()["one.conv.weight"]:equal(w:permute(1, 3, 4, 2)))
    local x = d.randn { 2, 6, 6, 3 }
    assert.equal(copied(x):bytes(), adopted(x):bytes())
    assert.same({ 0 }, { select(2, adopted:count()) })
    given["conv1.bias"]:fill_(7)
    assert.equal(7, adopted:state()["one.conv.bias"][1])
    assert.not_equal(7, copied:state()["one.conv.bias"][1])
  end)

  it("are theirs again when they are saved", function()
    local given = weights()
    local saved = peers.saved(entry, peers.model(toy, {}, given):state())
    local n = 0
    for key, x in pairs(saved) do
      n = n + 1
      local old = key:gsub("to_q", "query"):gsub("to_out%.0", "proj_attn")
      assert(x:reshape(given[old]:shape()):equal(given[old]), key)
    end
    assert.equal(7, n)
  end)

  it("are refused with the first names of those missing and unexpected", function()
    local function refused(sentence, o)
      local m, message = peers.model(toy, {}, weights(o))
      assert.is_nil(m)
      assert.equal(sentence, message)
    end
    refused("weights of ToyModel: 1 tensor is missing ('conv1.bias')", { ["conv1.bias"] = false })
    refused("weights of ToyModel: 4 tensors are missing ('conv1.bias', 'conv1.weight', 'norm1.bias', ...), "
      .. "2 tensors are unexpected ('extra.a', 'extra.b')", { ["norm1.bias"] = false, ["norm1.weight"] = false,
      ["conv1.weight"] = false, ["conv1.bias"] = false, ["extra.a"] = d.ones(1), ["extra.b"] = d.ones(1) })
    refused("weights of ToyModel: 1 tensor is unexpected ('to_q.bias')", { ["to_q.bias"] = d.ones(5) })
    refused("weights of ToyModel: 'conv1.weight' is [4,3,5,3], but its config makes it [4,3,3,3]",
      { ["conv1.weight"] = d.randn { 4, 3, 5, 3 } })
    refused("weights of ToyModel: 'conv1.weight' is [4,3,9], but its config makes it [4,3,3,3]",
      { ["conv1.weight"] = d.randn { 4, 3, 9 } })
    fails("option 'width'", peers.model, toy, { width = 0 }, weights())
  end)
end)

describe("a config of another library", function()
  it("is options: null is false where false is one, else no value", function()
    local o, unknown = peers.options(toy, entry,
      { width = 8, heads = json.null, groups = json.null, colour = "red", recompute = true, affine = false })
    assert.same({ width = 8, heads = false, affine = false }, o)
    assert.same({ "colour", "recompute" }, unknown)
  end)

  it("is the inverse of that", function()
    assert.same({ width = 8, heads = json.null, groups = json.null, affine = false },
      peers.config(toy, entry, { width = 8, heads = false, affine = false, recompute = true }))
  end)
end)
