--- Classifier-free guidance: Ho & Salimans 2022, eq. 6, with scale = 1 + w.
-- out = u + scale (c - u), c with the class and u without. It mixes what the model
-- predicts, whatever that is: at one x_t all targets are affine in one another, so guiding
-- eps, v or x0 is the same. Of a learned variance v stays c's: it is no such target.
local core = require "diffusion.core"
local opts = require "diffusion.opts"

local rules = {
  scale = { "number", required = true },
  rescale = { "number", default = 0, min = 0, max = 1 },
  interval = { "table" },
}

-- Lin et al. 2024, section 3.4: the guided output with the conditional one's standard
-- deviation in each sample, mixed in by phi.
local function rescaled(out, c, phi)
  local dims = {}
  for i = 2, out:dim() do dims[#dims + 1] = i end
  local ratio = c:std(dims, true) / out:std(dims, true)
  return out * (phi * ratio + (1 - phi))
end

-- The prediction, and v where it stands beside it.
local function apart(out, xt)
  local width = xt:size(-1)
  if out:size(-1) ~= 2 * width then return out end
  return out:narrow(-1, 1, width), out:narrow(-1, width + 1, width)
end

local function guided(u, c, xt, scale, phi)
  local value, v = apart(c, xt)
  local out = core.ops.mix(1 - scale, (apart(u, xt)), scale, value)
  if phi > 0 then out = rescaled(out, value, phi) end
  return v and core.ops.cat({ out, v }, -1) or out
end

local function level(t) return core.is_tensor(t) and t:max():item() or type(t) == "table" and t[1] or t end

--- A guided denoiser, u + scale (c - u) with c told the class and u not (Ho & Salimans 2022,
--- eq. 6).
---@param model any a denoiser (xt, t, {class=})
---@param options table {scale, rescale = 0..1 (phi), interval = {low, high} in t: guided
---  only for low <= t <= high}
---@return function denoiser
---@usage local model, process = d.load_model "digits"
--- local guided = d.guidance.cfg(model, { scale = 2, rescale = 0.7 })
--- print(guided(d.randn(1, 8, 8, 1), 500, { class = d.tensor({ 4 }, { dtype = "i64" }) }):std():item())
local function cfg(model, options)
  local o = opts.check("cfg", options, rules, 2)
  return function(xt, t, model_opts)
    local class = model_opts and model_opts.class
    if not class then opts.fail("cfg: guidance %g needs a class", o.scale) end
    local scale = o.scale
    if o.interval and (level(t) < o.interval[1] or level(t) > o.interval[2]) then scale = 1 end
    if scale == 1 then return model(xt, t, model_opts) end
    local u = model(xt, t, { x0 = model_opts.x0 })
    if scale == 0 then return u end
    return guided(u, model(xt, t, model_opts), xt, scale, o.rescale)
  end
end

return cfg
