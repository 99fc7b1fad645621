-- Each option of a public function is declared once. The check, the help, the definitions for
-- editors and the guides' tables say the same.
local d = require "diffusion"
local doc = require "spec.support.doc"
local english = dofile "spec/support/english.lua"
local help = require "diffusion.help"
local opts = require "diffusion.opts"
local pages = dofile "spec/support/pages.lua"

local entries = doc.collect()

-- Tables that aren't options, by function and parameter.
local others = {
  ["adamw:load_state state"] = true,
  ["batches:load_state state"] = true,
  ["checkpoint:save extra"] = true,
  ["d.check.moments sampler"] = true,
  ["d.check.order sampler"] = true,
  ["d.gradcheck inputs"] = true,
  ["d.hub.scheduler config"] = true,
  ["d.image.animate frames"] = true,
  ["d.likelihood.ode model"] = true,
  ["d.likelihood.vlb model"] = true,
  ["d.metric.frechet x"] = true,
  ["d.metric.frechet y"] = true,
  ["d.plot.lines series"] = true,
  ["d.plot.order series"] = true,
  ["d.plot.points series"] = true,
  ["d.plot.schedules schedules"] = true,
  ["d.sampler.step which"] = true,
  ["d.schedule.from_config config"] = true,
  ["d.tensor values"] = true,
  ["objective:load_state state"] = true,
  ["tensor:pad margins"] = true,
}

local function each_set(visit)
  for _, e in ipairs(entries) do
    if e.options then visit(e) end
  end
end

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

describe("options", function()
  it("are declared for every function that takes a table of them", function()
    local missing = {}
    for _, e in ipairs(entries) do
      for _, p in ipairs(e.class and {} or e.params) do
        local name = e.name .. " " .. p.name
        local is_table = (p.type or ""):find "%f[%w]table%f[^%w<]" or (p.type or ""):find "{"
        if is_table and not others[name] then missing[#missing + 1] = name end
      end
    end
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("have a type and a plain sentence each", function()
    local wrong = {}
    each_set(function(e)
      for _, o in ipairs(e.options) do
        local text = o.text or ""
        local faults = english.check("option.md", text .. ".\n")
        local good = #text > 3 and o.type and o.as ~= "" and not text:find "%.$" and #faults == 0
        if not good then wrong[#wrong + 1] = ("%s %s: %s %s"):format(e.name, o.name, text, faults[1] or "") end
      end
    end)
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("are all taken by a function", function()
    local taken = {}
    each_set(function(e)
      taken[e.set or e.name] = true
      for _, o in ipairs(e.options) do taken[o.as:match "diffusion%.([%w_]+)_options" or ""] = true end
    end)
    for name, rules in pairs(opts.declared) do
      assert(taken[name] or next(rules) == nil, name .. " is declared and no function takes it")
    end
  end)

  -- Those of layers go to the core, which refuses options that a kind does not read.
  it("are all read", function()
    local sources = {}
    for path in io.popen "find lua/diffusion -name '*.lua'":lines() do
      if not path:find "reference%.lua$" and not path:find "/library/" then sources[#sources + 1] = read(path) end
    end
    local text, unread = table.concat(sources), {}
    for name, rules in pairs(opts.declared) do
      for key, rule in pairs(rules) do
        local used = rule.kept or text:find("[.:]" .. key .. "%f[^%w_]") or text:find('"' .. key .. '"', 1, true)
        if not used and not name:find "^nn_" and not name:find "^net_" then unread[#unread + 1] = name .. " " .. key end
      end
    end
    assert.equal("", table.concat(unread, ", "))
  end)

  -- "eta = 1 is ddpm" says what a value means.
  local meanings = { ["d.grid.beta of"] = true, ["d.grid.poly_exponential rho"] = true,
                     ["sampler euler_ancestral eta"] = true }

  it("have their defaults nowhere in prose", function()
    local function pattern(text) return (text:gsub("%p", "%%%0")) end
    each_set(function(e)
      local texts = { e.text }
      for _, list in ipairs { e.params, e.returns } do
        for _, item in ipairs(list) do texts[#texts + 1] = item.text end
      end
      local prose = table.concat(texts, " ")
      for _, o in ipairs(e.options) do
        local stands = o.default ~= "none" and prose:find("%f[%w_]" .. o.name .. " = " .. pattern(o.default))
        assert(not stands or meanings[e.name .. " " .. o.name], ("%s: %s = %s"):format(e.name, o.name, o.default))
      end
    end)
  end)

  -- A default that could be a value is one, so that the function and the text read the same.
  it("have no value in default_text", function()
    local twice = {}
    for name, rules in pairs(opts.declared) do
      for key, rule in pairs(rules) do
        local text = rule.default_text or ""
        if text:find "^%-?[%d.]+e?[-+]?%d*$" or text == "true" or text == "false" or text:find '^"[^"]*"$' then
          twice[#twice + 1] = ("%s %s: %s"):format(name, key, text)
        end
      end
    end
    table.sort(twice)
    assert.equal("", table.concat(twice, "\n"))
  end)

  it("are in the definitions for editors", function()
    local text = read(doc.paths.definitions)
    each_set(function(e)
      if e.choice then return end
      local class = text:match("\n%-%-%-@class %(exact%) diffusion%." .. e.set .. "_options(.-)\n\n")
      for _, o in ipairs(e.options) do
        local name = o.name == "end" and '["end"]' or o.name
        assert(o.nested or class:find("\n---@field " .. name .. (o.default == "required" and " " or "? "), 1, true),
          e.set .. " " .. o.name)
      end
    end)
  end)

  it("are shown by the help", function()
    each_set(function(e)
      local text = help.text(e.name)
      for _, o in ipairs(e.options) do
        assert(text:find("\n  " .. o.name .. " +%S"), ("d.help %q does not show %s"):format(e.name, o.name))
      end
    end)
  end)
end)

-- A default that is written down but not filled in by opts.check must be what the function does.
describe("a written default", function()
  local process = d.process { schedule = d.schedule.cosine { T = 10 }, predict = "x0" }
  local x, w = d.randn({ 2, 4, 4, 2 }, { seed = 1 }), d.randn({ 2, 3, 3, 2 }, { seed = 2 })
  local q = d.randn({ 1, 3, 4 }, { seed = 3 })
  local with_ema = d.mlp { hidden = 8, depth = 1 }

  -- Calls by the function's name. Their options are nil, or have one default.
  local calls = {
    ["tensor:conv2d"] = function(o) return x:conv2d(w, nil, o) end,
    ["tensor:attention"] = function(o) return q:attention(q, q, o) end,
    ["tensor:group_norm"] = function(o) return x:group_norm(nil, nil, opts.joined({ groups = 1 }, o or {})) end,
    ["tensor:layer_norm"] = function(o) return x:layer_norm(nil, nil, o) end,
    ["tensor:sinusoid"] = function(o) return d.tensor { 1, 2 }:sinusoid(opts.joined({ width = 4 }, o or {})) end,
    ["tensor:fourier"] = function(o) return d.tensor { 1, 2 }:fourier(d.tensor { 0.1, 0.2 }, o) end,
    ["tensor:fir"] = function(o) return x:fir(opts.joined({ taps = { 1, 2 } }, o or {})) end,
    ["tensor:allclose"] = function(o) return d.tensor { 1 }:allclose(d.tensor { 1.00001 }, o) end,
    ["tensor:backward"] = function(o)
      local loss = d.record(function() return with_ema(d.ones(1, 2), 1):sum() end)
      loss:backward(o)
      return pcall(loss.backward, loss)
    end,
    ["d.huber"] = function(o) return d.huber(x, x * 3, nil, o) end,
    ["d.generator"] = function(o) return d.generator(o):randn(3) end,
    ["process:q_sample"] = function(o) return process:q_sample(1, 5, opts.joined({ seed = 1 }, o or {})) end,
    ["d.mlp"] = function(o) return tostring(d.mlp(o)) end,
    ["d.dit"] = function(o) return tostring(d.dit(opts.joined({ image = { 4, 4, 1 } }, o or {}))) end,
    ["d.unet"] = function(o) return tostring(d.unet(opts.joined({ image = { 4, 4, 1 } }, o or {}))) end,
    ["d.lucidrains"] = function(o)
      return tostring(d.lucidrains(opts.joined({ image = { 4, 4, 1 }, dim = 8, dim_mults = { 1 } }, o or {})))
    end,
    ["d.edm"] = function(o)
      local small = { image = { 4, 4, 1 }, model_channels = 8, channel_mult = { 1 }, num_blocks = 1 }
      return tostring(d.edm(opts.joined(small, o or {})))
    end,
    ["tensor:rms_norm"] = function(o) return x:rms_norm(nil, o) end,
    ["d.dittransformer2d"] = function(o)
      local small = { num_layers = 1, num_attention_heads = 1, attention_head_dim = 4 }
      return tostring(d.dittransformer2d(opts.joined(small, o or {})))
    end,
    ["d.cliptext"] = function(o)
      local small = { vocab_size = 9, hidden_size = 4, intermediate_size = 4, num_hidden_layers = 1,
        num_attention_heads = 1 }
      return tostring(d.cliptext(opts.joined(small, o or {})))
    end,
    ["d.autoencoderkl"] = function(o) return tostring(d.autoencoderkl(o)) end,
    ["d.vq"] = function(o) return tostring(d.vq(o)) end,
    ["d.autoencodertiny"] = function(o) return tostring(d.autoencodertiny(o)) end,
    ["d.unet2d"] = function(o) return tostring(d.unet2d(opts.joined({ block_out_channels = { 32 },
      down_block_types = { "DownBlock2D" }, up_block_types = { "UpBlock2D" } }, o or {}))) end,
    ["d.unet2dcondition"] = function(o) return tostring(d.unet2dcondition(opts.joined({ block_out_channels = { 32 },
      down_block_types = { "DownBlock2D" }, up_block_types = { "UpBlock2D" } }, o or {}))) end,
    ["d.nn.downsample"] = function(o)
      local model = d.nn.model(d.nn.downsample(2, 2, o))
      return model(d.ones(1, 4, 4, 2)):shape()
    end,
    ["d.check.moments"] = function(o)
      return select(2, d.check.moments("ddim", opts.joined({ process = process, steps = 4 }, o or {})))
    end,
    ["d.ema"] = function(o) return tostring(d.ema(with_ema, o)) end,
    ["set:batches"] = function(o) return d.data.toy.moons(10):batches(opts.joined({ size = 3 }, o or {})).steps end,
    ["d.schedule.cosine_log_snr"] = function(o) return d.schedule.cosine_log_snr(o):log_snr(500) end,
  }
  for _, name in ipairs { "beta", "alpha_bar", "log_snr", "sigma" } do
    calls["d.schedule.from_" .. name] = function(o)
      local values = { beta = { 0.1, 0.2 }, alpha_bar = { 0.9, 0.5 }, log_snr = { 1, 0 }, sigma = { 1, 2 } }
      if name == "sigma" then o = opts.joined({ form = "vp" }, o or {}) end
      return tostring(d.schedule["from_" .. name](values[name], o))
    end
  end

  -- Not seen without a terminal, a plot or a whole sampling run.
  local untold = { ["d.plot.lines"] = true, ["d.plot.schedules"] = true, ["schedule:plot"] = true, ["d.sample"] = true,
                   ["d.sampler.sample"] = true, ["d.sampler.steps"] = true, ["d.reflow"] = true }

  local function plain(value)
    if type(value) == "userdata" then value = value:totable() end
    return type(value) == "table" and table.concat(d.tensor(value):flatten():totable(), " ") or tostring(value)
  end

  each_set(function(e)
    for _, o in ipairs(e.options) do
      local rule = (opts.declared[e.set or e.name] or {})[o.name]
      local chunk = not (rule and rule.default ~= nil) and load("return " .. o.default, "=default", "t", {})
      local value
      if chunk then value = select(2, pcall(chunk)) end
      if type(value) == "string" and not o.default:find '^"' then value = nil end -- an error
      if value ~= nil and not o.nested and not untold[e.name] and not e.name:find "^d%.edit%." and e.kind ~= "net" then
        it(("%s of %s is %s"):format(o.name, e.name, o.default), function()
          local call = assert(calls[e.name], "no call in this spec shows it")
          assert.equal(plain(call(nil)), plain(call { [o.name] = value }))
        end)
      end
    end
  end)
end)

describe("tables of options in the guides", function()
  for _, page in ipairs(pages.all()) do
    it("of " .. page.name .. " are up to date: make doc", function()
      assert(doc.page(entries, page.path, page.text) == page.text, page.path .. " is out of date: make doc")
    end)
  end

  it("are refused for names that have no options", function()
    assert.error_matches(function()
      doc.page(entries, "x.md", "<!-- options: smaple -->\n<!-- end -->\n")
    end, "x.md: no options are declared for 'smaple'")
    assert.error_matches(function()
      doc.page(entries, "x.md", "<!-- options: unet chanels -->\n<!-- end -->\n")
    end, "x.md: unet has no option 'chanels'")
  end)
end)
