-- Every block of Lua in the README and the guides runs, in a folder of its own and with fewer
-- steps of training. The names in them exist, and the README stays a front page.
local child = dofile "spec/support/child.lua"
local markdown = require "diffusion.markdown"
local pages = dofile "spec/support/pages.lua"
local d = require "diffusion"
local text_folder = require "spec.support.text_folder"

local all = pages.all()
local readme = all[1].text

-- Long runs are cut short. Each of these occurs somewhere.
local shortened = {
  { "batches{ size = 256, steps = 4000 }", "batches{ size = 256, steps = 40 }" },
  { "batches{ size = 32, steps = 4000 }", "batches{ size = 2, steps = 2 }" },
  { "shape = { 16, 32, 32, 3 }, steps = 50", "shape = { 2, 32, 32, 3 }, steps = 2" },
}

local function short(block)
  for _, pair in ipairs(shortened) do
    local at, to = block:find(pair[1], 1, true)
    if at then block, pair.met = block:sub(1, at - 1) .. pair[2] .. block:sub(to + 1), true end
  end
  return block
end

-- A tiny text-to-image pipeline where a reader has a large one.
local function make_pipeline(folder)
  local fixture = text_folder.read()
  text_folder.write(folder .. "/stable-diffusion-v1-5", fixture.cases.sd1_pndm, fixture)
end

-- A folder of pictures in two classes, as the README's reader has one.
local function make_pictures(folder)
  for _, class in ipairs { "cats", "dogs" } do
    os.execute(("mkdir -p %s/pictures/%s"):format(folder, class))
    for k = 1, 2 do
      assert(d.image.save(("%s/pictures/%s/%d.png"):format(folder, class, k), d.rand(40, 36, 3) * 2 - 1))
    end
  end
end

describe("the blocks of", function()
  local folder
  setup(function()
    folder = child.folder()
    make_pictures(folder)
    make_pipeline(folder)
  end)
  teardown(function() child.remove(folder) end)

  for _, page in ipairs(all) do
    local number = 0
    for _, block in ipairs(markdown.blocks(page.text)) do
      if block.kind == "code" and block.language == "lua" then
        number = number + 1
        it(("%s: %d runs"):format(page.name, number), function()
          local path = ("%s/%s%d.lua"):format(folder, page.name, number)
          child.write(path, short(block.text))
          local out, code = child.run(path, { folder = folder })
          assert.equal(0, code, out)
        end)
      end
    end
  end

  it("all pages are cut short where that was meant", function()
    for _, pair in ipairs(shortened) do assert(pair.met, pair[1] .. " is in no block") end
  end)
end)

-- Calls fn(page, block, text) for every text of every block.
local function each_text(fn)
  for _, page in ipairs(all) do
    for _, block in ipairs(markdown.blocks(page.text)) do
      for _, text in ipairs(block.items or { block.kind ~= "code" and block.text or nil }) do fn(page, block, text) end
      for _, row in ipairs(block.rows or {}) do
        for _, cell in ipairs(row) do fn(page, block, cell) end
      end
    end
  end
end

local function is_there(path) return os.rename(path, path) ~= nil end

describe("the README and the guides", function()
  it("link to what is there", function()
    local missing = {}
    local function check(page, target)
      local path = pages.resolve(page, target)
      if path and not is_there(path) then missing[#missing + 1] = page.path .. ": " .. target end
    end
    each_text(function(page, block, text)
      if block.kind == "picture" then return check(page, block.target) end
      for _, span in ipairs(markdown.spans(text)) do
        if span.kind == "link" then check(page, span.target) end
      end
    end)
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("name files that are there", function()
    local missing = {}
    for _, page in ipairs(all) do
      for path in page.text:gmatch "`([%w_]+/[%w_/.-]+)`" do
        local made = path:find "^demo" or path:find "^build" or path:find "NAME"
        if not made and not is_there(path) and not is_there("csrc/" .. path) then
          missing[#missing + 1] = page.path .. ": " .. path
        end
      end
    end
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("name what d has", function()
    local missing = {}
    each_text(function(page, block, text)
      if block.kind == "heading" then return end
      for _, span in ipairs(markdown.spans(text)) do
        local name = span.kind == "code" and span.text:match "^d%.([%w_.]*[%w_])"
        local at = d
        for key in (name or ""):gmatch "[%w_]+" do at = type(at) == "table" and at[key] or nil end
        if name and at == nil then missing[#missing + 1] = page.path .. ": " .. span.text end
      end
    end)
    assert.equal("", table.concat(missing, "\n"))
  end)

  it("name every sampler, and how many there are", function()
    local names, lacking, guide = d.sampler.names(), {}, pages.page "samplers".text
    for _, name in ipairs(names) do
      if not guide:find("\n| [^\n]*`" .. name .. "`") then lacking[#lacking + 1] = name end
    end
    assert.equal("", table.concat(lacking, ", "))
    for _, name in ipairs { "README", "samplers", "changes" } do
      assert.truthy(pages.page(name).text:find(#names .. " samplers", 1, true), name)
    end
  end)

  it("name every schedule and grid, and how many presets there are", function()
    local guide, lacking = pages.page "schedules".text, {}
    for _, family in ipairs { d.schedule, d.grid } do
      for _, name in ipairs(family.names()) do
        if not guide:find("`" .. name .. "`", 1, true) then lacking[#lacking + 1] = name end
      end
    end
    assert.equal("", table.concat(lacking, ", "))
    local compatibility = pages.page "compatibility".text
    assert.truthy(compatibility:find(("`d.sampler.presets()`, %d of"):format(#d.sampler.presets()), 1, true))
    assert.truthy(compatibility:find(("`d.grid.presets()`, %d of"):format(#d.grid.presets()), 1, true))
  end)

  it("list every paper that the code cites", function()
    local references, lacking, seen = pages.page "references".text, {}, {}
    for path in io.popen("find csrc lua -name '*.[ch]' -o -name '*.lua'"):lines() do
      local text = child.read(path):gsub("\n[-%s*]*", " ")
      for name, year in text:gmatch "(%u[%a-]+ et al%. )(%d%d%d%d)" do
        if not seen[name .. year] and not references:find("- " .. name .. year, 1, true) then
          lacking[#lacking + 1] = name .. year
        end
        seen[name .. year] = true
      end
    end
    assert.equal("", table.concat(lacking, ", "))
  end)

  it("name every target of the Makefile that has a word in its head", function()
    local house, lacking = pages.page "house".text, {}
    local head = child.read "Makefile":match "^(.-)\n\n"
    for target in head:gmatch "make ([%a-]+)" do
      if not house:find("`make " .. target .. "`", 1, true) then lacking[#lacking + 1] = target end
    end
    assert.equal("", table.concat(lacking, ", "))
  end)
end)

describe("the README", function()
  it("is a front page of at most 220 lines", function()
    local _, lines = readme:gsub("\n", "")
    assert(lines <= 220, lines .. " lines")
  end)

  it("links to every guide", function()
    for i = 2, #all do assert.truthy(readme:find("(" .. all[i].path .. ")", 1, true), all[i].path) end
  end)

  it("lists every lesson", function()
    for path in io.popen "ls examples/*.lua":lines() do
      assert.truthy(readme:find("\n| `" .. path .. "` |", 1, true), path)
    end
  end)

  it("has four lines, six lines and twenty lines where it says so", function()
    local lines = {}
    for _, block in ipairs(markdown.blocks(readme)) do
      if block.kind == "heading" then lines.title = block.text end
      if block.language == "lua" then lines[lines.title] = select(2, block.text:gsub("\n", "")) + 1 end
    end
    assert.equal(4, lines["Four lines"])
    assert.equal(6, lines["Your own pictures"])
    assert(lines["Twenty lines"] <= 20, lines["Twenty lines"])
  end)
end)
