--- The table of speeds in README.md, made from speeds.lua: a column per machine. As a script it writes the table:
---   lua5.4 spec/bench/speed_table.lua
local here = arg and arg[0]:match "^(.*)/speed_table.lua$"
if here then package.path = here .. "/?.lua;" .. package.path end

local speed_table = {}

local peers = { pytorch = "PyTorch", openvino = "OpenVINO" }

-- The rows: what, the names of workloads at a precision, and the peer. Without a peer it is the fastest of all.
local rows = {}

local function add_networks(what, task, peer)
  rows[#rows + 1] = { what = what .. ", " .. peers[peer], peer = peer,
                      names = { "cifar." .. task, "small." .. task, "grey." .. task } }
end

add_networks("training step of 16 images", "train", "pytorch")
for _, n in ipairs { 16, 1 } do
  local what = n == 16 and "sampling step of 16 images" or "sampling step of one image"
  add_networks(what, ("sample%d"):format(n), "pytorch")
  add_networks(what, ("sample%d"):format(n), "openvino")
end
rows[#rows + 1] = { what = "Stable Diffusion: UNet, decoder, texts, fastest peer",
                    names = { "sd.unet", "sd.decode", "sd.text" } }

local function least(times)
  local found
  for _, ratio in pairs(times) do found = math.min(found or ratio, ratio) end
  return found
end

local precisions = { "high", "medium" }

-- The ratios at a precision, with a dash for what wasn't measured; nil if nothing was.
local function ratios(row, column, precision)
  local text, any = {}, false
  for i, name in ipairs(row.names) do
    local times = column.times[name .. "." .. precision] or {}
    local ratio
    if row.peer then ratio = times[row.peer] else ratio = least(times) end
    any = any or ratio ~= nil
    text[i] = ratio and ("%.1f"):format(ratio) or "–"
  end
  return any and table.concat(text, ", ") or nil
end

-- Both precisions, with a dash for one that wasn't measured. Second: true if any was.
local function cell(row, column)
  local high, medium = ratios(row, column, precisions[1]), ratios(row, column, precisions[2])
  if not (high or medium) then return "–", false end
  return (high or "–") .. "; " .. (medium or "–"), true
end

local function line(cells) return "| " .. table.concat(cells, " | ") .. " |" end

local function line_of(row, columns)
  local cells, any = { row.what }, false
  for i, column in ipairs(columns) do
    local text, has = cell(row, column)
    cells[i + 1], any = text, any or has
  end
  return any and line(cells)
end

--- The table as Markdown. A row that no machine has measured is left out.
---@param columns table[] as speeds.lua returns them
---@return string
function speed_table.text(columns)
  local head, rule = { "`cifar`, `small`, `grey`; at `high`, then at `medium`" }, { "---" }
  for i, one in ipairs(columns) do
    head[i + 1] = ("%s, %s threads (%s, version %s)"):format(one.name, one.threads, one.date, one.version)
    rule[i + 1] = "---"
  end
  local lines = { line(head), "|" .. table.concat(rule, "|") .. "|" }
  for _, row in ipairs(rows) do lines[#lines + 1] = line_of(row, columns) or nil end
  return table.concat(lines, "\n")
end

local from, to = "<!-- speeds -->\n", "\n<!-- end of speeds -->"

--- A page whose table, between two comments, is another one.
---@param page string
---@param columns table[]
---@return string
function speed_table.replace(page, columns)
  local _, first = page:find(from, 1, true)
  local last = assert(first and page:find(to, first, true), "the page has no place for the table of speeds")
  return page:sub(1, first) .. speed_table.text(columns) .. page:sub(last)
end

--- Writes the table into the page.
---@param path string
---@param columns table[]
function speed_table.write(path, columns)
  local file <close> = assert(io.open(path))
  local page = speed_table.replace(file:read "a", columns)
  local out <close> = assert(io.open(path, "w"))
  out:write(page)
end

if here then speed_table.write("README.md", require "speeds") end

return speed_table
