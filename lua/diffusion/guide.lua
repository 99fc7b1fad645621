--- Finds the guides, which are the pages guide/*.md, for d.help and for `make doc`.
local core = require "diffusion.core"
local markdown = require "diffusion.markdown"
local reference = require "diffusion.reference"
local terminal = require "diffusion.terminal"
local typeset = require "diffusion.typeset"

local guide = {}

local home = (debug.getinfo(1, "S").source:match "^@(.*[/\\])" or "") .. "guide/"

--- The names of all guides, sorted.
---@return string[]
function guide.names()
  local out = {}
  for _, name in ipairs(core.list(home) or {}) do out[#out + 1] = name:match "^(.*)%.md$" end
  return out
end

-- Other words for a guide.
local also = { mpi = "scale" }

--- The text of a guide's file, or nil if there is no such guide.
---@param name string
---@return string|nil
function guide.page(name)
  if not name:find "^[%w_]+$" then return nil end
  local f <close> = io.open(home .. name .. ".md")
  return f and f:read "a"
end

--- The first paragraph of a guide, which states its subject.
---@param name string
---@return string
function guide.about(name)
  for _, block in ipairs(markdown.blocks(guide.page(name) or "")) do
    if block.kind == "paragraph" then return markdown.plain(block.text) end
  end
  return ""
end

--- The call that shows a guide at the prompt. Some guides have the name of an entry of d.
---@param name string
---@return string
function guide.call(name)
  return ('d.help "%s%s"'):format((reference[name] or reference["d." .. name]) and "guide " or "", name)
end

--- A guide as text for the terminal on standard output, or nil if there is none.
---@param name string
---@return string|nil
function guide.text(name)
  local page = guide.page(also[name] or name)
  return page and typeset.set(page, terminal.width(), terminal.bold(), guide.call)
end

-- The guide that explains a name of d, or a kind of object, if the two have different names.
local explains = {
  sampler = "samplers", sample = "samplers", run = "samplers",
  grid = "schedules", schedule = "schedules", process = "schedules",
  objective = "objectives", weighting = "objectives", times = "objectives",
  error = "objectives", precondition = "objectives", reflow = "objectives",
  edit = "editing", plan = "editing", repaint_plan = "editing", inversion = "editing",
  metric = "metrics", oracle = "metrics", interval = "metrics", check = "metrics",
  mlp = "networks", unet = "networks", dit = "networks", nn = "networks", model = "networks",
  net = "networks", decay = "training",
  adamw = "training", ema = "training", posthoc_ema = "training", lr = "training",
  trainer = "training", checkpoint = "training",
  set = "data", batches = "data", bound = "likelihood",
  hub = "schedulers",
  command = "pipelines", pipe = "pipelines", load_pipeline = "pipelines",
  save = "files", load = "files", load_model = "files",
  image = "pictures", plot = "pictures",
  tensor = "tensors", record = "tensors", grad = "tensors", no_grad = "tensors", scope = "tensors",
  generator = "compatibility", precision = "performance", threads = "performance",
  profile = "performance", memory = "performance", memory_limit = "performance",
  pack_budget = "performance",
}

--- The guide that explains an entry of the reference ("d.sampler", "d.sampler.steps", "run"), or
--- nil. Methods have none.
---@param name string
---@return string|nil
function guide.of(name)
  if name:find "[:(]" then return nil end
  local word = name:gsub("^d%.", ""):match "^[%w_]+"
  return explains[word] or (guide.page(word) and word)
end

return guide
