-- Compares the autoencoders of diffusers with ours on the same values and inputs.
local d = require "diffusion"
local cases = require "spec.support.peer_cases"
local core = require "diffusion.core"
local values = require "spec.support.peer_values"

local M = {}

local names = { AutoencoderTiny = "autoencodertiny", VQModel = "vq", AutoencoderKL = "autoencoderkl" }

--- The family's name for a class.
function M.family(class) return names[class] end

-- Outputs by the peer's names, in the order of the peer's cotangents.
local function tiny_outputs(model, x, z)
  return { latents = model:encode(x), sample = model:decode(z * 3) }, { "latents", "sample" }
end

local function vq_outputs(model, x, z, case)
  local out, order = { latents = model:encode(x) }, { "latents", "sample", "loss", "plain" }
  out.sample, out.loss = model:decode(z)
  local given = z
  if case.config.lookup_from_codebook then
    order[4], given = "looked_up", case.get "rows"
  end
  out[order[4]] = model:decode(given, { force_not_quantize = true })
  return out, order
end

-- Encoded, decoded and, if there are no tiles, called, with eps of the peer's seed.
local function kl_outputs(model, x, z, case)
  local out, order = {}, { "mean", "std", "sample" }
  local tile = { tile = case.tile }
  out.mean, out.std = model:encode(x, tile)
  out.sample = model:decode(z, tile)
  if case.tile then return out, order end
  local eps = cases.ours(values.uniform(cases.theirs(out.mean):shape(), 3):to(core.real))
  out.again, out.kl = model(x, { eps = eps })
  order[4], order[5] = "again", "kl"
  return out, order
end

local outputs = { AutoencoderTiny = tiny_outputs, VQModel = vq_outputs, AutoencoderKL = kl_outputs }

-- How far the nearest number is from a place where rounding to bytes changes, in bytes.
local function margin(model, z)
  local bytes = model:scale_latents(z) * 255
  return ((bytes - bytes:floor()) - 0.5):abs():min():item()
end

-- The call of a tiny autoencoder and the rows of a codebook have no gradient to compare. They are left
-- out if a last bit could decide.
local function compare_whole(model, case, x, z, off)
  if case.class == "AutoencoderKL" then return end
  if case.class == "VQModel" then
    if case.get "gap"[1] < 1e-5 then return end
    local _, _, rows = model.quantize(z)
    off.rows = rows:equal(case.get "rows") and 0 or 1
  elseif margin(model, model:encode(x)) > 1e-3 then
    off.again = cases.ratio(cases.theirs(model(x)), case.get "again")
  end
end

--- The differences of outputs and gradients, by what they are of.
---@param case table as cases.read returns it
---@return table<string, number>
function M.compare(case)
  local model, entry = cases.model(case, names[case.class])
  local x, z = cases.input(case.x, 1), cases.input(case.z, 2)
  local got, order
  local function total(a, b)
    got, order = outputs[case.class](model, a, b, case)
    return cases.total(order, got)
  end
  local dx, dz = d.grad(total, x, z)
  d.record(total, x, z):backward()
  local sums, key = cases.gradient_ratio(case, model, entry)
  local off = { [key] = sums, dx = cases.ratio(cases.theirs(dx), case.get "x.dx"),
    dz = cases.ratio(cases.theirs(dz), case.get "z.dx") }
  for _, name in ipairs(order) do off[name] = cases.ratio(cases.theirs(got[name]), case.get(name)) end
  compare_whole(model, case, x, z, off)
  return off
end

return M
