--- The README, the guides and the reference as HTML pages with a search box, for `make doc`.
local help = require "diffusion.help"
local json = require "diffusion.file.json"
local markdown = require "diffusion.markdown"
local pages = dofile "spec/support/pages.lua"

local site = {}

local here = "spec/support/site/"

local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

local function escaped(text)
  return (text:gsub('[&<>"]', { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

--- The name of a heading in an address.
local function slug(text)
  return (markdown.plain(text):lower():gsub("[^%w]+", "-"):gsub("^%-+", ""):gsub("%-+$", ""))
end

-- ==== links ================================================================================

-- The address, from the pages' folder, of a path from the project's root; notes pictures to copy.
local function address(site_of, path, anchor)
  if path == "README.md" then return "index.html" .. anchor end
  local guide = path:match "^lua/diffusion/guide/([%w_]+)%.md$"
  if guide then return guide .. ".html" .. anchor end
  if path:find "%.png$" then
    site_of.pictures[path] = "pictures/" .. path:match "[^/]+$"
    return site_of.pictures[path]
  end
  return site_of.root .. path
end

local function target_of(site_of, page, target)
  local path = pages.resolve(page, target)
  return path and address(site_of, path, target:match "#.*$" or "") or target
end

-- A name of the reference, or a file of the project, that code names.
local function target_of_code(site_of, text)
  if site_of.names[text] and text:find "[.:]" then return "reference.html#" .. text end
  if text:find "^[%w_]+/[%w_/.-]+$" and os.rename(text, text) and not text:find "^build" then
    return site_of.root .. text
  end
end

-- ==== Markdown =============================================================================

local function linked(target, inner)
  return target and ('<a href="%s">%s</a>'):format(escaped(target), inner) or inner
end

local function spans(site_of, page, text)
  local out = {}
  for i, span in ipairs(markdown.spans(text)) do
    local inner = escaped(span.text)
    if span.kind == "code" then
      out[i] = linked(target_of_code(site_of, span.text), "<code>" .. inner .. "</code>")
    elseif span.kind == "strong" then out[i] = "<strong>" .. inner .. "</strong>"
    elseif span.kind == "emphasis" then out[i] = "<em>" .. inner .. "</em>"
    else out[i] = linked(span.target and target_of(site_of, page, span.target), inner) end
  end
  return table.concat(out)
end

local function row(site_of, page, cells, tag)
  local out = {}
  for i, cell in ipairs(cells) do out[i] = ("<%s>%s</%s>"):format(tag, spans(site_of, page, cell), tag) end
  return "<tr>" .. table.concat(out) .. "</tr>"
end

local writers = {}

function writers.heading(site_of, page, block)
  return ('<h%d id="%s">%s</h%d>'):format(block.level, slug(block.text), spans(site_of, page, block.text), block.level)
end

function writers.paragraph(site_of, page, block) return "<p>" .. spans(site_of, page, block.text) .. "</p>" end

function writers.code(_, _, block) return "<pre><code>" .. escaped(block.text) .. "</code></pre>" end

function writers.list(site_of, page, block)
  local out, tag = {}, block.ordered and "ol" or "ul"
  for i, item in ipairs(block.items) do out[i] = "<li>" .. spans(site_of, page, item) .. "</li>" end
  return ("<%s>%s</%s>"):format(tag, table.concat(out, "\n"), tag)
end

function writers.table(site_of, page, block)
  local rows = {}
  for i, cells in ipairs(block.rows) do rows[i] = row(site_of, page, cells, "td") end
  return ("<table><thead>%s</thead><tbody>%s</tbody></table>"):format(row(site_of, page, block.head, "th"),
    table.concat(rows, "\n"))
end

function writers.picture(site_of, page, block)
  local alt = escaped(markdown.plain(block.text))
  return ('<figure><img src="%s" alt="%s"><figcaption>%s</figcaption></figure>'):format(
    target_of(site_of, page, block.target), alt, alt)
end

local function body(site_of, page)
  local out = {}
  for i, block in ipairs(markdown.blocks(page.text)) do out[i] = writers[block.kind](site_of, page, block) end
  return table.concat(out, "\n")
end

-- ==== the reference ========================================================================

local function items(out, list)
  if #list == 0 then return end
  out[#out + 1] = "<dl>"
  for _, p in ipairs(list) do
    out[#out + 1] = ("<dt>%s <i>%s</i></dt><dd>%s</dd>"):format(p.name and escaped(p.name) or "&rarr;",
      escaped(p.type or ""), escaped(p.text or ""))
  end
  out[#out + 1] = "</dl>"
end

local function options(out, list)
  if not list or #list == 0 then return end
  out[#out + 1] = "<table><thead><tr><th>option</th><th>type</th><th>default</th><th></th></tr></thead><tbody>"
  for _, o in ipairs(list) do
    out[#out + 1] = ("<tr><td><code>%s</code></td><td>%s</td><td>%s</td><td>%s</td></tr>"):format(escaped(o.name),
      escaped(help.with_range(o)), escaped(o.default), escaped(o.text))
  end
  out[#out + 1] = "</tbody></table>"
end

local function entry(out, e)
  out[#out + 1] = ('<h3 class="entry" id="%s">%s</h3><p>%s</p>'):format(escaped(e.name), escaped(e.signature),
    escaped(e.text))
  items(out, e.params)
  options(out, e.options)
  items(out, e.returns)
  if e.usage then out[#out + 1] = "<pre><code>" .. escaped(e.usage) .. "</code></pre>" end
end

-- Entries by the area of the overview that they belong to; kinds of things and their methods last.
local function by_area(entries)
  local area_of, sections = {}, {}
  for _, area in ipairs(help.areas) do
    sections[#sections + 1] = { title = area[1] }
    for name in area[2]:gmatch "%S+" do area_of[name] = sections[#sections] end
  end
  local things = { title = "things and their methods" }
  sections[#sections + 1] = things
  for _, e in ipairs(entries) do
    local section = area_of[e.name:match "^d%.([%w_]+)" or ""] or things
    section[#section + 1] = e
  end
  return sections
end

local function reference(entries)
  local links, sections = {}, by_area(entries)
  for i, section in ipairs(sections) do
    links[i] = ('<a href="#%s">%s</a>'):format(slug(section.title), section.title)
  end
  local out = { "<h1>Reference</h1>", "<p>" .. table.concat(links, ", ") .. "</p>" }
  for _, section in ipairs(sections) do
    out[#out + 1] = ('<h2 id="%s">%s</h2>'):format(slug(section.title), section.title)
    for _, e in ipairs(section) do entry(out, e) end
  end
  return table.concat(out, "\n")
end

-- ==== the index ============================================================================

local function text_of(block)
  local out = { block.kind ~= "heading" and block.text or nil }
  for _, item in ipairs(block.items or {}) do out[#out + 1] = markdown.plain(item) end
  for _, cells in ipairs(block.rows or {}) do out[#out + 1] = markdown.plain(table.concat(cells, ", ")) end
  if block.kind == "paragraph" then out[1] = markdown.plain(out[1]) end
  return table.concat(out, " ")
end

-- A page cut at its headings: one entry each.
local function index_page(out, page, url)
  for _, block in ipairs(markdown.blocks(page.text)) do
    if block.kind == "heading" then
      local title = markdown.plain(block.text)
      local own = block.level > 1 and ("%s: %s"):format(page.name, title) or title
      out[#out + 1] = { title = own, url = url .. "#" .. slug(block.text), kind = "guide", text = "" }
    else
      local last = out[#out]
      last.text = (last.text .. " " .. text_of(block):gsub("%s+", " ")):gsub("^ ", "")
    end
  end
end

local function index_entry(out, e)
  local words = { e.text }
  for _, p in ipairs(e.params) do words[#words + 1] = (p.name or "") .. " " .. (p.text or "") end
  for _, o in ipairs(e.options or {}) do words[#words + 1] = o.name .. " " .. o.text end
  for _, r in ipairs(e.returns) do words[#words + 1] = r.text or "" end
  out[#out + 1] = { title = e.name, url = "reference.html#" .. e.name, kind = "reference",
                    text = table.concat(words, " ") }
end

-- ==== pages ================================================================================

local frame = [[
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s - diffusion</title><link rel="stylesheet" href="style.css"><script src="search.js"></script></head>
<body>
<header><a href="index.html">diffusion</a>
<input id="search" type="search" placeholder="Search ( / )" aria-label="Search" autocomplete="off">
<ul id="results" aria-live="polite" hidden></ul></header>
<div class="page"><nav>%s</nav>
<main>
%s
</main></div>
</body>
</html>
]]

local function framed(list, own, title, inner)
  local links = {}
  for i, link in ipairs(list) do
    links[i] = ('<a href="%s"%s>%s</a>'):format(link[1], link[1] == own and ' aria-current="page"' or "", link[2])
  end
  return frame:format(escaped(title), table.concat(links, "\n"), inner)
end

local function url_of(page) return page.name == "README" and "index.html" or page.name .. ".html" end

--- All files of the site.
---@param entries table[] as doc.collect returns them
---@param root string the project's root, seen from the pages' folder: "../../"
---@return table<string, string> files by name
---@return table<string, string> pictures to copy: path from the root -> name
function site.build(entries, root)
  local site_of = { root = root, pictures = {}, names = {} }
  for _, e in ipairs(entries) do site_of.names[e.name] = true end
  local all, list, index, files = pages.all(), {}, {}, {}
  for _, page in ipairs(all) do
    list[#list + 1] = { url_of(page), page.name == "README" and "start" or page.name }
    index_page(index, page, url_of(page))
  end
  list[#list + 1] = { "reference.html", "reference" }
  for _, e in ipairs(entries) do index_entry(index, e) end
  for _, page in ipairs(all) do
    local title = markdown.plain(markdown.blocks(page.text)[1].text)
    files[url_of(page)] = framed(list, url_of(page), title, body(site_of, page))
  end
  files["reference.html"] = framed(list, "reference.html", "Reference", reference(entries))
  files["style.css"] = read(here .. "style.css")
  files["search.js"] = "const INDEX = " .. json.encode(index) .. ";\n" .. read(here .. "search.js")
  return files, site_of.pictures
end

return site
