--- The pages that people read: the README and the guides, as { path, name, text }.
local pages = {}

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

--- All of them: the README, and the guides in the order in which it lists them.
---@return table[]
function pages.all()
  local readme = read "README.md"
  local out, listed = { { path = "README.md", name = "README", text = readme } }, readme:match "## Contents.*"
  for path in io.popen "ls lua/diffusion/guide/*.md":lines() do
    out[#out + 1] = { path = path, name = path:match "([%w_]+)%.md$", text = read(path) }
  end
  local function place(page)
    return page.name == "README" and 0 or listed:find("(" .. page.path .. ")", 1, true) or #listed + 1
  end
  table.sort(out, function(a, b) return place(a) < place(b) end)
  return out
end

--- The page of a name.
function pages.page(name)
  for _, page in ipairs(pages.all()) do
    if page.name == name then return page end
  end
end

--- A link of a page as a path from the project's root; nil for one to the web or within the page.
---@param page table
---@param target string
---@return string|nil
function pages.resolve(page, target)
  if target:find "^%a+:" or target:find "^#" then return nil end
  local path = (page.path:match "^.*/" or "") .. target:gsub("#.*$", "")
  local again
  repeat path, again = path:gsub("[^/]+/%.%./", "", 1) until again == 0
  return path
end

return pages
