-- The HTML pages of `make doc`: well formed, every address in them leads somewhere, and the search
-- finds what it should.
local child = dofile "spec/support/child.lua"
local doc = require "spec.support.doc"
local guide = require "diffusion.guide"
local json = require "diffusion.file.json"
local site = dofile "spec/support/site.lua"

local entries = doc.collect()
local files, pictures = site.build(entries, "../../")

local EMPTY = { meta = true, link = true, img = true, input = true, ["!doctype"] = true }

-- The first tag that is not nested as it should be, or nil.
local function fault(html)
  local open = {}
  for slash, tag in html:gmatch "<(/?)([!%a][%w]*)[^>]*>" do
    if slash == "/" then
      if table.remove(open) ~= tag then return "</" .. tag .. ">" end
    elseif not EMPTY[tag] then open[#open + 1] = tag end
  end
  return open[1] and "<" .. open[1] .. ">" or nil
end

local function ids(html)
  local out, twice = {}, {}
  for id in html:gmatch ' id="([^"]*)"' do
    if out[id] then twice[#twice + 1] = id end
    out[id] = true
  end
  return out, twice
end

local function is_page(name) return name:find "%.html$" ~= nil end

describe("the pages of make doc", function()
  it("are one for each guide, the README and the reference", function()
    for _, name in ipairs(guide.names()) do assert.is_string(files[name .. ".html"], name) end
    for _, name in ipairs { "index.html", "reference.html", "search.js", "style.css" } do
      assert.is_string(files[name], name)
    end
  end)

  for name, text in pairs(files) do
    if is_page(name) then
      it(name .. " is well formed", function()
        assert.is_nil(fault(text))
        assert.same({}, select(2, ids(text)))
        for tail in text:gmatch "&([^;%s]*.)" do assert.match("^%a+;$", tail) end
      end)

      it(name .. " leads to what is there", function()
        local missing = {}
        for target in text:gmatch '[hs][re][ec]f?="([^"]+)"' do
          local page, anchor = target:match "^([^#]*)#?(.*)$"
          page = page == "" and name or page
          local root = page:match "^%.%./%.%./(.*)$"
          if page:find "^https?:" then anchor = ""
          elseif root then
            if not os.rename(root, root) then missing[#missing + 1] = target end
          elseif page:find "^pictures/" then
            local found = false
            for path, copy in pairs(pictures) do found = found or copy == page and os.rename(path, path) end
            if not found then missing[#missing + 1] = target end
          elseif not files[page] then missing[#missing + 1] = target end
          if anchor ~= "" and files[page] and not ids(files[page])[anchor] then missing[#missing + 1] = target end
        end
        assert.equal("", table.concat(missing, ", "))
      end)
    end
  end

  it("has an entry of the reference for each public name", function()
    local found = ids(files["reference.html"])
    for _, e in ipairs(entries) do assert(found[e.name], e.name) end
  end)
end)

describe("the search", function()
  local index = assert(json.decode(files["search.js"]:match "^const INDEX = (.-);\n\"use strict\";"))

  it("has an index of every name and every section, at addresses that are there", function()
    local titles = {}
    for _, entry in ipairs(index) do
      titles[entry.title] = true
      local page, anchor = entry.url:match "^(.*)#(.*)$"
      assert(ids(files[page])[anchor], entry.url)
    end
    for _, e in ipairs(entries) do assert(titles[e.name], e.name) end
    assert(titles["samplers: Names"] and titles["README: Speed"])
  end)

  it("finds by title, by the last part of a name and by words of the text", function()
    if not child.has "node" then return pending "no node here" end
    local folder = child.folder()
    child.write(folder .. "/search.js", files["search.js"])
    child.write(folder .. "/run.js", [[
const { INDEX, search, excerpt } = require("./search.js");
for (const q of ["q_sample", "Freezing", "brownian PATH", "timesteps 0..T-1", "", "zzzz", "d.grad"])
  console.log(search(INDEX, q, 5).map((e) => e.url).join(" "));
console.log(excerpt("a ".repeat(60) + "word", ["word"]));
]])
    local pipe = assert(io.popen(("cd %s && node run.js 2>&1"):format(folder)))
    local lines = {}
    for line in pipe:lines() do lines[#lines + 1] = line end
    pipe:close()
    child.remove(folder)
    assert.match("^reference%.html#process:q_sample ", lines[1])
    assert.match("^networks%.html#freezing", lines[2])
    assert.truthy(lines[3]:find("samplers.html#noise", 1, true), lines[3])
    assert.equal("index.html#coming-from-pytorch-or-diffusers", lines[4])
    assert.equal("", lines[5])
    assert.equal("", lines[6])
    assert.match("^reference%.html#d%.grad reference%.html#d%.gradcheck", lines[7])
    assert.equal("… " .. ("a "):rep(19) .. "word", lines[8])
  end)
end)
