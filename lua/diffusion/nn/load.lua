-- Model files as networks. A model file has its process with it, so the two always match.
local asset = require "diffusion.asset"
local core = require "diffusion.core"
local container = require "diffusion.file.container"
local fail = require "diffusion.fail"
local legible = require "diffusion.legible"
local opts = require "diffusion.opts"
local rule = require "diffusion.rule"
local process_from_config = require("diffusion.process").process_from_config
local family = require "diffusion.nn.family"
local trained = require "diffusion.nn.trained"

-- The network that a file describes, with the file's values.
local function build(path, facts, tensors, frozen)
  if type(facts.model) ~= "table" then return legible.refused("%s: no network is described inside", path) end
  local m, message = fail.try(family.from_config, facts.model, tensors, frozen)
  if m then message = trained.set(m, facts.trained) end
  if message then return legible.refused("%s: %s", path, message) end
  return m
end

-- Whether there is a file. It is not opened, since opening a pipe would wait for its writer.
local function is_file(path) return core.place(path) == "file" end

-- The path for a name: that of a file, or of a network that comes with the library.
local function path_of(name)
  local own = asset.path(name .. ".safetensors")
  return not is_file(name) and not name:find "[/\\]" and is_file(own) and own or name
end

-- Whether it is the name of a pipeline that comes with the library, and of nothing else.
local function is_pipeline(name)
  return not name:find "[/\\]" and core.place(name) == "new" and is_file(asset.path(name .. "/model_index.json"))
end

local rules = opts.declare("load_model", { copy = rule.copy,
  process = opts.joined(rule.process, { required = false, default_text = "that of the file",
    text = "a process in place of the file's" }),
  frozen = { "boolean", default = false, text = "uses the file's values as they are, mapped, in their own type" } })

--- Reads a model file (model:save) as a network with its values, and its process (nil if it has none).
--- The file is mapped while it is read. If another program truncates the file meanwhile, this one ends
--- (SIGBUS). With copy = true it is read into memory first.
---@param path string a file, or, if there is none of that name, a network that comes with the
---  library: "digits" (8x8 pixels, classes 1 to 10 are the digits 0 to 9)
---@param options diffusion.load_model_options?
---@return diffusion.model|nil model nil with a message if it isn't a good model file
---@return diffusion.process|string|nil process or the message
---@usage local model, process = d.load_model "digits"
local function load_model(path, options)
  local o = opts.check("load_model", options, rules, 2)
  path = path_of(opts.path("load_model", path))
  if is_pipeline(path) then return legible.refused("%s: a pipeline; d.load_pipeline opens it", path) end
  local tensors, facts = container.read(path, "model", { copy = o.copy })
  if not tensors then return nil, facts end
  local p, why = o.process
  if facts.process and not p then
    p, why = process_from_config(facts.process)
    if not p then return legible.refused("%s: its process: %s", path, why) end
  end
  local m, message = build(path, facts, tensors, o.frozen)
  if not m then return nil, message end
  if o.process or p and not trained.of(m) then trained.learn(m, p) end
  return m, p
end

return { load_model = load_model }
