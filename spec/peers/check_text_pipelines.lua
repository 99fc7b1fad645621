-- Compares text-to-image pipelines with diffusers: the kinds of spec/fixtures/peers/text_pipelines.json with other
-- schedulers and arguments, and saved folders that diffusers opens. SEED chooses other cases, CASES their number.
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local check = require "spec.support.peer_check"
local child = require "spec.support.child"
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local ldm_file = require "spec.support.ldm_file"
local text_folder = require "spec.support.text_folder"

local N = math.tointeger(tonumber(os.getenv "CASES" or "60"))
local LIMIT = 1e-3
local all = text_folder.read()
local pick, seed = check.chooser()
check.limit = LIMIT

-- ==== cases =============================================================================

local names, schedulers, known = {}, {}, {}
for name in pairs(all.cases) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local text = json.encode(all.cases[name].scheduler)
  if not known[text] then schedulers[#schedulers + 1] = all.cases[name].scheduler end
  known[text] = true
end

-- Schedulers of classes that the fixture leaves out.
for _, class in ipairs { "KDPM2DiscreteScheduler", "LMSDiscreteScheduler", "DEISMultistepScheduler", "TCDScheduler",
  "DPMSolverSinglestepScheduler", "DDPMScheduler" } do
  schedulers[#schedulers + 1] = { _class_name = class, beta_schedule = "scaled_linear", beta_start = 0.00085,
    beta_end = 0.012, clip_sample = false }
end

local prompts = { "a red cat on the mat", "the dog", "", "42!",
  "the red cat on the mat and the dog on the red mat by the cat" }

local function maybe(value) return pick { true, false } and value or nil end

-- Generators: one, or one for each image.
local function seeds(n)
  local list = { pick { 0, 1, 2, 3 } }
  if pick { true, false } then
    for k = 2, n do list[k] = 10 * k end
  end
  return list
end

-- A refiner has a score in the place of the target.
local function sizes_of(args, base)
  args.original_size, args.crops_coords_top_left = maybe { 10, 20 }, maybe { 2, 3 }
  args.target_size = not base.requires_aesthetics_score and maybe { 12, 14 } or nil
end

-- Pictures of a batch as diffusers takes them: one for all, or one for each image.
local function with_picture(case, n)
  local args, latent = case.args, case.pipeline:find "^Latent"
  args.image = { latent and 1 or pick { 1, n }, pick { 5, 6, 7 } }
  args.strength = pick { 0.5, 0.75, 1 }
  local painted = case.parts.unet.in_channels == 9 or pick { true, false }
  if painted and not latent then args.mask = { pick { 0, 3, 4 }, pick { 0, 2 }, 11, pick { 10, 16 } } end
  if #case.seeds > 1 and args.image[1] < n then args.image[1] = n end
end

-- Between the steps of KDPM2, diffusers blends at another level than that of the network's call. Its class for
-- inpainting corrects less of an old scheduler's config than the class of the folder.
local function fits(case)
  local own = case.scheduler
  local old = own._class_name == "DDPMScheduler" and own.clip_sample == nil
  return not (case.args.mask and (old or own._class_name:find "^KDPM2"))
end

local random_case
function random_case()
  local base = all.cases[pick(names)]
  local case = { pipeline = base.pipeline, parts = base.parts, pad = base.pad, pad2 = base.pad2,
    requires_aesthetics_score = base.requires_aesthetics_score,
    force_zeros_for_empty_prompt = base.force_zeros_for_empty_prompt, args = {} }
  local latent, large = base.pipeline:find "^Latent", base.pipeline:find "XL"
  case.scheduler = latent and base.scheduler or pick(schedulers)
  local count, each, args = pick { 1, 2 }, pick { 1, 1, 2 }, case.args
  args.prompt = count == 1 and pick(prompts) or { pick(prompts), pick(prompts) }
  args.num_images_per_prompt, args.num_inference_steps = each, pick { 2, 3, 4, 5 }
  args.guidance_scale, args.clip_skip = pick { 1, 2, 7.5 }, maybe(1)
  if not latent then args.negative_prompt = maybe(count == 1 and "red" or { "red", "the mat" }) end
  if case.scheduler._class_name == "DDIMScheduler" then args.eta = maybe(0.7) end
  case.seeds = seeds(count * each)
  local picture = base.parts.unet.in_channels == 9 or base.requires_aesthetics_score or pick { true, false }
  if picture then with_picture(case, count * each) elseif not latent then args.guidance_rescale = maybe(0.6) end
  if large then sizes_of(args, base) end
  return fits(case) and case or random_case()
end

-- ==== comparing =========================================================================

local function recorded(list)
  local from, to = os.tmpname(), os.tmpname()
  child.write(from, json.encode(list))
  local python = assert(os.getenv "PEERS", "PEERS: the folder of the peers, as `make peers` makes it") .. "/bin/python"
  assert(os.execute(("%s spec/peers/make_text_pipelines.py %s %s >/dev/null"):format(python, from, to)))
  local tensors, metadata = assert(d.load(to))
  os.remove(from)
  os.remove(to)
  return tensors, assert(json.decode(metadata.cases))
end

local function text_of(case, method)
  local a = case.args
  return ("%s %s %s, %d steps, %d seeds%s%s"):format(case.pipeline, method, case.scheduler._class_name,
    a.num_inference_steps, #case.seeds, a.strength and (", strength %g"):format(a.strength) or "",
    type(a.prompt) == "table" and ", 2 prompts" or "")
end

d.precision "highest"
d.warnings(false)
local list = {}
for i = 1, N do list[i] = random_case() end
local tensors, cases = recorded(list)
local root = child.folder()
for i, case in ipairs(cases) do
  local o, method = text_folder.call(case)
  local name = ("%d.%d %s"):format(seed, i, text_of(case, method))
  if case.fault then print(("     %s: %s"):format(name, case.fault))
  else
    local folder = ("%s/%d"):format(root, i)
    text_folder.write(folder, case, all)
    local pipe = assert(d.hub.load(folder))
    local ok, x = pcall(pipe[method], pipe, o)
    local want = tensors[("%d"):format(i - 1)]:to(core.real)
    check.line(name, { image = ok and (x - want):abs():max():item() or math.huge }, not ok and x or nil)
  end
end

-- ==== saved folders =====================================================================

local kinds, folders = {}, {}
for _, name in ipairs { "sd1_ddim", "sd2_v", "xl", "lcm", "painter", "xl_painter" } do
  local case = all.cases[name]
  local from, to = root .. "/" .. name, root .. "/saved_" .. name
  text_folder.write(from, case, all)
  kinds[#kinds + 1] = { name = name, pipe = assert(d.hub.load(from)), folder = to }
  assert(d.hub.save(to, kinds[#kinds].pipe))
  folders[#folders + 1] = to
end
for _, large in ipairs { false, true } do
  local name = large and "single_xl" or "single"
  text_folder.write(root .. "/" .. name, ldm_file.case(large, all.cases), all)
  local file = ("%s/%s/single.safetensors"):format(root, name)
  ldm_file.write(file, assert(d.hub.load(root .. "/" .. name)))
  kinds[#kinds + 1] = { name = name, folder = root .. "/" .. name,
    pipe = assert(d.hub.load(file, { tokenizer = root .. "/" .. name .. "/tokenizer" })) }
  folders[#folders + 1] = kinds[#kinds].folder
end
assert(os.execute(("%s/bin/python spec/peers/make_text_pipelines.py --open %s >/dev/null"):format(os.getenv "PEERS",
  table.concat(folders, " "))))
for _, kind in ipairs(kinds) do
  local o = { prompt = "a red cat on the mat", steps = 2, generator = d.generator { kind = "torch", seed = 0 } }
  if kind.name:find "painter" then o.x0, o.keep = d.zeros(1, 16, 16, 3), d.zeros(16, 16, 1) end
  local want = assert(d.load(kind.folder .. "/drawn.safetensors")).image:to(core.real)
  check.line(kind.name .. " saved", { image = (kind.pipe(o) - want):abs():max():item() })
end
child.remove(root)
check.finish "text pipelines"
