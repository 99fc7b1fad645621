--- Settings of a benchmark run from the environment.
local function set(name, default)
  local value = os.getenv(name)
  return value and value ~= "" and value or default
end

return {
  mode = set("BENCH", "full"), -- or quick, or search
  only = set "ONLY",           -- a pattern of names
  rounds = math.tointeger(set "ROUNDS"), -- if nil, a workload's own, or 7; 0 compares answers alone
  threads = set("DIFFUSION_THREADS", "2"),
  isa = set "DIFFUSION_ISA",
  meet = set "MEET",       -- names of the peers that Stable Diffusion meets; if nil, all that are here
  keep = set "KEPT",       -- folder where its meetings stay for another run; if nil, they are not kept
  record = set "RECORD",   -- the machine's name in speeds.lua and README.md; if nil, they stay as they are
  variant = set "VARIANT", -- variant of PyTorch, instead of the recorded one
  lua = set("LUA", "lua5.4"),
  sd = set "SD_FOLDER",    -- keeps the folder of Stable Diffusion; if nil, it is removed
  peers = set("PEERS", "build/peers"),
  folder = set("DIFFUSION_BUILD", "build") .. "/bench", -- for what is passed between workers
}
