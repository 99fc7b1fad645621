-- Each option of a public function is declared once. The check, the help, the definitions for
-- editors and the guides' tables say the same.
local d = require "diffusion"
local doc = require "spec.support.doc"
local english = dofile "spec/support/english.lua"
local help = require "diffusion.help"
local opts = require "diffusion.opts"
local pages = dofile "spec/support/pages.lua"

local entries = doc.collect()

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
    each_set(function(e) taken[e.set or e.name] = true end)
    for name, rules in pairs(opts.declared) do
      assert(taken[name] or next(rules) == nil, name .. " is declared and no function takes it")
    end
  end)

  it("are in the definitions for editors", function()
    local text = read(doc.paths.definitions)
    each_set(function(e)
      if e.choice then return end
      local class = text:match("\n%-%-%-@class %(exact%) diffusion%." .. e.set .. "_options(.-)\n\n")
      for _, o in ipairs(e.options) do
        assert(class:find("\n---@field " .. o.name .. (o.default == "required" and " " or "? "), 1, true),
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

describe("tables of options in the guides", function()
  for _, page in ipairs(pages.all()) do
    it("of " .. page.name .. " are up to date: make doc", function()
      assert(doc.page(entries, page.path, page.text) == page.text, page.path .. " differs from what is declared: make doc")
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
