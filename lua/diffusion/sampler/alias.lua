-- Other programs' names of our samplers: those of k-diffusion and its front ends, diffusers'
-- classes, and stable-diffusion.cpp. A call with one of them is an error that says our name.
local legible = require "diffusion.legible"

-- Grids that a sampler's name may end with, as in "DPM++ 2M Karras".
local grids = { polyexponential = "poly_exponential", exponential = "exponential", karras = "karras",
                sgmuniform = "sd.cpp-sgm-uniform", simple = "sd.cpp-simple", trailing = "trailing" }

-- Names that the rules below don't map to ours.
local others = {
  ancestral = "ddpm", cm = "consistency", cmstochasticiterative = "consistency", ddiminverse = "ddim_inversion",
  ddimeta = "ddim", deismultistep = "deis", dopri5 = "rk45", dpm2s = "dpm_solver", dpmfast = "dpm_solver_singlestep",
  dpmpp = "dpmpp_2m", dpmpp2mv2 = "dpmpp_2m", dpmpp2msdeheun = "dpmpp_2m_sde", dpmsolverpp = "dpmpp_2m",
  dpmsolversde = "dpmpp_sde", dpmsolversinglestep = "dpmpp_singlestep", edmdpmsolvermultistep = "dpmpp_2m",
  edmeuler = "euler", flowmatcheuler = "flow_euler", flowmatchheun = "flow_heun", heun2 = "heun", heunpp2 = "heun",
  ipndmv = "ipndm", kdpm2 = "dpm2", kdpm2ancestral = "dpm2_ancestral", langevin = "annealed_langevin",
  ode = "rk45", pc = "predictor_corrector", pndm = "plms", rectifiedflow = "flow_euler", rf = "flow_euler",
  sdeve = "predictor_corrector", scoresdeve = "predictor_corrector", unipcbh1 = "unipc", unipcbh2 = "unipc",
  unipcmultistep = "unipc", vpsde = "predictor_corrector",
}

-- Classes of diffusers whose default differs from our sampler of that name.
local classes = { dpmsolvermultistepscheduler = "dpmpp_2m", dpmsolversinglestepscheduler = "dpmpp_singlestep" }

-- A name's letters and digits, so "DPM++ 2M" and "dpmpp_2m" are equal.
local function bare(name) return (legible.lower(name):gsub("%+%+", "pp"):gsub("[^%w]", "")) end

local function without_marks(name)
  local text = legible.lower(name):gsub("^k[-_ ]", ""):gsub("^sample[-_ ]", "")
  return (bare(text):gsub("scheduler$", ""):gsub("discrete$", ""):gsub("discretescheduler$", ""):gsub("gpu$", ""))
end

-- Our name for a bare name. An "a" at its end may stand for ancestral.
local function ours(text, known)
  local plain = text:gsub("discrete", "")
  return known[text] or others[text] or known[plain] or others[plain]
    or known[(plain:gsub("a$", "ancestral"))] or others[(plain:gsub("a$", "ancestral"))]
end

-- The name without its grid, and the grid.
local function parted(text)
  for _, ending in ipairs { "polyexponential", "exponential", "karras", "sgmuniform", "simple", "trailing" } do
    if #text > #ending and text:sub(-#ending) == ending then return text:sub(1, -#ending - 1), grids[ending] end
  end
end

--- Our sampler for another program's name, and the grid that the name includes.
---@param name string
---@param names string[] ours
---@return string|nil sampler nil if the name is unknown
---@return string|nil grid
return function(name, names)
  local known = {}
  for _, one in ipairs(names) do known[bare(one)] = one end
  local text = without_marks(name)
  local found = classes[bare(name)] or ours(text, known)
  if found then return found end
  local rest, grid = parted(text)
  if rest and ours(rest, known) then return ours(rest, known), grid end
  if text:sub(-1) == "k" then return ours(text:sub(1, -2), known), "karras" end -- InvokeAI's "dpmpp_2m_k"
end
