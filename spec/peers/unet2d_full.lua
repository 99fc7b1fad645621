-- A model of full size, for spec/peers/unet2d_full.py. It reads commands and answers each with a line:
--
--   load FILE WEIGHTS       a case as JSON, and the peer's weights; answers the number of parameters
--   pass PRECISION          milliseconds of a forward pass, by the wall and by the processor
--   output FILE PRECISION   writes the output
--   memory                  peaks of the process and of tensors, in bytes
package.path = "./?.lua;" .. package.path
local d = require "diffusion"
local core = require "diffusion.core"
local json = require "diffusion.file.json"
local peers = require "diffusion.nn.peers"
local records = require "spec.support.peer_unet2d"
local unet2d = require "diffusion.network.unet2d"

local case, options, model, x

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function run(precision)
  d.precision(precision)
  return records.run(case, options, model, x)
end

local commands = {}

function commands.load(path, weights)
  case = json.decode(read(path))
  options = records.options(case.config)
  model = assert(peers.model(unet2d, options, assert(d.load(weights)), { frozen = true }))
  x = records.input(case)
  return ("%d"):format((model:count()))
end

commands["pass"] = function(precision)
  local wall, processor = core.clock(), os.clock()
  run(precision)
  return ("%.3f %.3f"):format(1e3 * (core.clock() - wall), 1e3 * (os.clock() - processor))
end

function commands.output(path, precision)
  assert(d.save(path, { y = run(precision) }))
  return "written"
end

function commands.memory()
  local status = read "/proc/self/status"
  return ("%d %d"):format(tonumber(status:match "VmHWM:%s*(%d+)") * 1024, d.memory().peak)
end

io.stdout:setvbuf "line"
for line in io.lines() do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  print(commands[words[1]](table.unpack(words, 2)))
end
