-- The plan of a network that another library trained. It has what the keys and the options of d.hub.load
-- tell, and it collects what is missing. A missing option is never guessed.
local legible = require "diffusion.legible"
local made = require "diffusion.schedule.made"
local opts = require "diffusion.opts"
local parser = require "diffusion.file.parser"
local process = require "diffusion.process"
local schedule = require("diffusion.schedule").schedule

local plan = {}

-- Each option with the rule of d.hub.load, and the question that it answers.
plan.rules = {
  key = { "string", default_text = "the only one",
    text = "in a PyTorch file, the key under which the network is: \"ema\", \"model\"" },
  image = { "integer|table", as = "integer|integer[]", min = 1, each = { "integer", min = 1 }, least = 2,
    default_text = "that of the file", text = "height and width of an image: 64, {64, 48} or {64, 48, 3}" },
  heads = { "integer|table", as = "integer|integer[]", min = 1, each = { "integer", min = 1 }, least = 1,
    default_text = "those of the file",
    text = "number of heads of each attention; or head_channels, the width of a head" },
  head_channels = { "integer", min = 1, default_text = "that of the file",
    text = "width of a head, in place of heads" },
  qkv_order = { one_of = { "legacy", "new" }, default_text = "that of the file",
    text = "order of the rows of q, k and v: by head, or \"new\": all of q first" },
  classes = { "integer", min = 1, default_text = "that of the file",
    text = "number of classes; the table of DiT may have a row for none behind them" },
  rescale_timesteps = { "boolean", default_text = "that of the file",
    text = "whether the network sees timesteps as if T were 1000" },
  time = { one_of = { "t", "log_snr", "c_noise" }, default_text = "that of the file",
    text = "the network's time: timesteps, ln of the SNR, or EDM's c_noise" },
  groups = { "integer", min = 1, default_text = "that of the file", text = "groups of the residual blocks' norms" },
  version = { "string", default_text = "that of the file",
    text = "version of the library that wrote the file: \"1.4\"" },
  schedule = { "string|schedule", as = "string|diffusion.schedule", default_text = "that of the file",
    text = "the noise schedule: \"linear\", \"cosine\", \"sigmoid\", or one of d.schedule" },
  T = { "integer", min = 1, max = made.MOST_STEPS, default_text = "that of the file", text = "steps of the schedule" },
  predict = { one_of = { "eps", "x0", "v" }, default_text = "that of the file", text = "the prediction target" },
  variance = { one_of = { "fixed_small", "fixed_large", "learned", "learned_range" }, default_text = "that of the file",
    text = "variance of the reverse step" },
  process = { "process", default_text = "made of the options above",
    text = "the process, in place of schedule, T, predict and variance" },
  precondition = { one_of = { "edm", "vp", "ve", "iddpm" }, default_text = "that of the file",
    text = "how the network's input and output are scaled; see d.precondition" },
  text_heads = { "integer", min = 1, default_text = "one for 64 channels",
    text = "in a file of latent diffusion, the number of heads of each attention of its text encoders" },
  scaling_factor = { "number", above = 0, default_text = "that of the file's version",
    text = "factor of an autoencoder's latents: 0.18215 in Stable Diffusion 1 and 2, 0.13025 in XL" },
  shift_factor = { "number", default_text = "none", text = "subtracted from an autoencoder's latents before that" },
  ema = { "boolean", default_text = "the values in training",
    text = "takes the denoiser's average, which some files of latent diffusion have next to its values" },
  sigma_data = { "number", above = 0, default_text = "that of the file",
    text = "standard deviation of the data, for precondition = \"edm\"" },
}

local Plan = {}
Plan.__index = Plan

-- Options as given, and the names of those that were asked for.
local function watched(o)
  local used = {}
  return setmetatable({}, { __index = function(_, name)
    used[name] = true
    return o[name]
  end }), used
end

--- A plan for a file's network.
---@param path string
---@param tensors table<string, any> by the network's keys, without a prefix
---@param shapes table<string, integer[]>
---@param o table checked options of d.hub.load
---@param outer table {facts, tensors, prefix}: what stands next to the network
---@return table plan
function plan.new(path, tensors, shapes, o, outer)
  local given, used = watched(o)
  return setmetatable({ path = path, tensors = tensors, shapes = shapes, o = given, outer = outer, missing = {},
    asked = {}, options = o, used = used }, Plan)
end

--- Counts the options that another plan of the same file used.
---@param other table
function Plan:joins(other)
  for name in pairs(other.used) do self.used[name] = true end
end

--- Refuses the file if an option was given that isn't needed, since it may contradict the file.
---@param what string "a network of ..."
function Plan:check_used(what)
  for _, name in ipairs(opts.names(plan.rules)) do
    if name ~= "key" and self.options[name] ~= nil and not self.used[name] then
      self:refuse("option '%s' isn't needed: keys or other options tell this of %s, or it has no such part", name, what)
    end
  end
end

--- The value of an option. Without it, the question is added to those that are missing.
---@param name string
---@param found any the value that the keys tell, or nil
---@return any value
function Plan:ask(name, found)
  local given = self.o[name]
  if given ~= nil then return given end
  if found == nil and not self.asked[name] then
    self.missing[#self.missing + 1] = name
    self.asked[name] = true
  end
  return found
end

--- The number of heads of an attention, by `heads` or `head_channels`. The file is refused if they don't fit.
---@param width integer their channels together
---@param what string "downs.0.2"
---@param level integer|nil the entry of a list; nil if one number is expected
---@param found integer|nil as the keys tell
---@return integer|nil heads nil if it was asked for
function Plan:heads(width, what, level, found)
  local each = self.o.head_channels
  if each and width % each ~= 0 then
    self:refuse("heads of %d channels don't divide the width %d of %s", each, width, what)
  end
  local given = each and width // each or self:ask("heads", found)
  if type(given) == "table" then
    if not level then self:refuse("heads is one number in such a network, got %d", #given) end
    given = given[level] or given[#given]
  end
  if given and width % given ~= 0 then self:refuse("%d heads don't divide the width %d of %s", given, width, what) end
  return given
end

--- Refuses the file with a sentence.
---@param format string
---@param ... any
function Plan:refuse(format, ...) parser.fault()("%s: " .. format, self.path, ...) end

--- The sentence about the missing options, or nil.
---@param what string "a network of ..."
---@return string|nil
function Plan:questions(what)
  if #self.missing == 0 then return nil end
  local list = {}
  for i, name in ipairs(self.missing) do
    local rule = plan.rules[name]
    local choices = rule.one_of and " of " .. table.concat(rule.one_of, ", ") or ""
    list[i] = ("%s%s (%s)"):format(name, choices, rule.text)
  end
  return legible.said("%s: %s; its keys don't tell these options of d.hub.load: %s", self.path, what,
    table.concat(list, "; "))
end

--- The shape of a key's tensor, or nil.
---@param key string
---@return integer[]|nil
function Plan:shape(key) return self.shapes[key] end

--- The size of one dimension of a key's tensor. The file is refused without it.
---@param key string
---@param dim integer
---@return integer
function Plan:size(key, dim)
  local shape = self.shapes[key]
  if not shape then self:refuse("'%s' is missing", key) end
  local size = shape[dim]
  if not size or size < 1 then
    self:refuse("'%s' is [%s], so it has no dimension %d of a size", key, table.concat(shape, ","), dim)
  end
  return size
end

--- The rows of each of n equal parts of a key's tensor. The file is refused if they aren't whole.
---@param key string
---@param n integer
---@return integer
function Plan:part(key, n)
  local rows = self:size(key, 1)
  if rows % n ~= 0 then self:refuse("'%s' has %d rows, which aren't %d equal parts", key, rows, n) end
  return rows // n
end

--- The number of parts of a list, counted from 0: "downs" has parts downs.0, downs.1.
---@param stem string
---@return integer
function Plan:parts(stem)
  local seen, n, pattern = {}, 0, "^" .. stem:gsub("%p", "%%%0") .. "%.(%d+)%."
  for key in pairs(self.shapes) do
    local k = math.tointeger(tonumber(key:match(pattern)))
    if k then seen[k] = true end
  end
  while seen[n] do n = n + 1 end
  return n
end

--- Height, width and channels of an image.
---@param channels integer|nil as the keys tell; nil if they don't
---@return integer[]|nil image
function Plan:image(channels)
  local given = self:ask("image", self.known_image)
  if not given then return nil end
  if type(given) == "number" then given = { given, given } end
  return { given[1], given[2], given[3] or channels }
end

-- ==== the process ========================================================================

local NAMED = { "linear", "cosine", "sigmoid", "scaled_linear", "constant" }

local function schedule_of(p, given, T)
  if type(given) ~= "string" then return given end
  for _, name in ipairs(NAMED) do
    if name == given then return schedule[name] { T = T } end
  end
  p:refuse("schedule = '%s': one of %s, or a schedule of d.schedule", given, table.concat(NAMED, ", "))
end

--- A function that makes the process. Parts that aren't found are asked for.
---@param found table {schedule, predict, variance, clip}, as far as the keys tell
---@return function
function Plan:process(found)
  if self.o.process then return function() return self.o.process end end
  local named = self:ask("schedule", found.schedule)
  local T = self:ask("T", type(named) == "userdata" and named.T or found.schedule and found.schedule.T)
  if type(named) == "userdata" and T ~= named.T then
    self:refuse("T = %d, but its schedule has %d steps", T, named.T)
  end
  local predict, variance = self:ask("predict", found.predict), self:ask("variance", found.variance)
  return function()
    return process.process { schedule = schedule_of(self, named, T), predict = predict, variance = variance,
      clip = found.clip }
  end
end

return plan
