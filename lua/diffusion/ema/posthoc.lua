--- Power averages of other widths, made after training from snapshots of a few. See Karras et al. 2024,
--- "Analyzing and improving the training dynamics of diffusion models", algorithm 3.
-- After t updates a power average has the profile p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1)
-- over 0..t. Least squares fits any other profile by those of the snapshots. The same weights give
-- the values. Profiles are scaled to norm 1, in doubles.
local container = require "diffusion.file.container"
local core = require "diffusion.core"
local decays = require "diffusion.ema.decay"
local model = require "diffusion.nn.model"
local fail = require "diffusion.fail"
local opts = require "diffusion.opts"
local legible = require "diffusion.legible"

-- The integral of the product of two profiles.
local function product(p, q)
  if p.t > q.t then p, q = q, p end
  return (p.gamma + 1) * (q.gamma + 1) / (p.gamma + q.gamma + 1) * (p.t / q.t) ^ q.gamma / q.t
end

local function cosine(p, q) return product(p, q) / math.sqrt(product(p, p) * product(q, q)) end

-- The cosines of all profiles with each other, and with the target.
local function normal_equations(profiles, target)
  local a, b = {}, {}
  for i, p in ipairs(profiles) do
    a[i], b[i] = {}, cosine(p, target)
    for j, q in ipairs(profiles) do a[i][j] = cosine(p, q) end
  end
  return a, b
end

-- The norm of the error of the fit: sqrt(1 - 2 w.b + w.A w), for a target of norm 1.
local function residual(a, b, w)
  local left = 1
  for i = 1, #w do
    left = left - 2 * w[i] * b[i]
    for j = 1, #w do left = left + w[i] * a[i][j] * w[j] end
  end
  return math.sqrt(math.max(0, left))
end

local function doubles(list) return core.tensor(list, { dtype = "f64" }) end

--- Returns the snapshots' weights, and the error of the profile relative to its norm.
---@param profiles {t: number, gamma: number}[]
---@param target {t: number, gamma: number}
---@return number[] weights
---@return number error
local function weights(profiles, target)
  local a, b = normal_equations(profiles, target)
  local w = core.linalg.solve(doubles(a), doubles(b)):totable()
  local left = residual(a, b, w)
  for i, p in ipairs(profiles) do w[i] = w[i] * math.sqrt(product(target, target) / product(p, p)) end
  return w, left
end

-- ==== files ==================================================================================

local function is_profile(facts)
  local t, width = facts.updates, facts.sigma_rel
  return math.type(t) == "integer" and t > 0 and type(width) == "number" and width > 0 and width < decays.widest
    and decays.exponent(width) < math.huge
end

local function read(path)
  local tensors, facts = container.read(path, "snapshot")
  if not tensors then return nil, facts end
  if not is_profile(facts) then return legible.refused("%s: its updates or its sigma_rel are missing", path) end
  return { path = path, tensors = tensors, t = facts.updates, gamma = decays.exponent(facts.sigma_rel) }
end

-- The reason why two snapshots can't be combined, or nil.
local function trouble_of(first, snapshot, earlier)
  local trouble = model.mismatch(model.each(first.tensors), snapshot.tensors)
  if trouble then return ("%s: not of the model of %s: %s"):format(snapshot.path, first.path, trouble) end
  for _, other in ipairs(earlier) do
    if other.t == snapshot.t and other.gamma == snapshot.gamma then
      return ("%s: has the updates and the sigma_rel of %s"):format(snapshot.path, other.path)
    end
  end
end

local function read_all(paths)
  local out = {}
  for i, path in ipairs(paths) do
    local snapshot, message = read(opts.path("posthoc_ema", path))
    if not snapshot then return nil, message end
    local trouble = trouble_of(out[1] or snapshot, snapshot, out)
    if trouble then return legible.refused("%s", trouble) end
    out[i] = snapshot
  end
  return out
end

local function mixed(snapshots, w)
  local state = {}
  for name in pairs(snapshots[1].tensors) do
    local sum = snapshots[1].tensors[name] * w[1]
    for i = 2, #w do sum = core.ops.mix(1, sum, w[i], snapshots[i].tensors[name]) end
    state[name] = sum
  end
  return state
end

local rules = opts.declare("posthoc_ema", {
  sigma_rel = { "number", required = true, above = 0, below = decays.widest,
    text = "standard deviation of the average's profile over 0..1" },
  updates = { "integer", min = 1, default_text = "those of the last snapshot",
    text = "number of updates after which the average is taken" },
})

-- The last update of any snapshot. The target must not lie after it.
local function last_of(snapshots, updates)
  local last = 0
  for _, s in ipairs(snapshots) do last = math.max(last, s.t) end
  if updates and updates > last then
    fail.raise("posthoc_ema: updates = %d, but the last snapshot is of %d", updates, last)
  end
  return updates or last
end

--- The values that a power average of any width would have, from snapshots that ema:snapshot wrote
--- during training. They should be of two averages, best with sigma_rel 0.05 and 0.1. Least squares
--- fits the target's profile by theirs (Karras et al. 2024, algorithm 3). It is exact if the target
--- is one of them.
---@param paths string[] one or more snapshots of one training
---@param options diffusion.posthoc_ema_options
---@return table<string, any>|nil state by name, for model:load_state; nil with a message if a file isn't
---  such a snapshot, or they can't be combined
---@return table|string fit {weights = a list, one per snapshot, error = of the profile, relative to
---  its norm}, or the message
---@usage local model = d.mlp{ hidden = 16, depth = 1 }
--- local ema, path = d.ema(model, { decay = { "power", sigma_rel = 0.1 } }), os.tmpname()
--- assert(ema:update():snapshot(path))
--- local state, fit = assert(d.posthoc_ema({ path }, { sigma_rel = 0.1 }))
--- model:load_state(state)
--- print(fit.weights[1], fit.error)
--- os.remove(path)
local function posthoc_ema(paths, options)
  if #opts.table("posthoc_ema", 1, "a list of paths", paths) == 0 then
    fail.raise("bad argument #1 to 'posthoc_ema' (at least one path expected, got an empty list)")
  end
  local o = opts.check("posthoc_ema", options, rules, 2)
  local snapshots, message = read_all(paths)
  if not snapshots then return nil, message end
  local target = { t = last_of(snapshots, o.updates), gamma = decays.exponent(o.sigma_rel) }
  local w, left = fail.try(weights, snapshots, target)
  if not w then return nil, "posthoc_ema: profiles too much alike: " .. left end
  return mixed(snapshots, w), { weights = w, error = left }
end

return { posthoc_ema = posthoc_ema }
