-- Training on two ranks in two network namespaces, whose link has a rate that tc limits. Needs root and Open MPI.
--   lua5.4 spec/bench/ranks_network.lua NETWORK RATE [WAY...]       as in small 1gbit pieces=1
-- The kernel limits the rate by tbf. A delay would need netem, which many kernels lack.
local child = dofile "spec/support/child.lua"
local kept = dofile "spec/bench/ranks_kept.lua"

local name, rate = arg[1], arg[2]
local ways = #arg > 2 and table.concat(arg, " ", 3) or "pieces=4 pieces=1"

local function run(text, ...) return (os.execute(text:format(...))) end

-- Namespaces df0 and df1 with one link between them: 10.77.0.1 and 10.77.0.2.
local function open_link()
  assert(run "ip netns add df0 && ip netns add df1", "no namespace can be made; run it as root")
  assert(run "ip link add df_v0 netns df0 type veth peer name df_v1 netns df1", "no veth link can be made")
  for i = 0, 1 do
    assert(run("ip -n df%d addr add 10.77.0.%d/24 dev df_v%d && ip -n df%d link set df_v%d up && "
      .. "ip -n df%d link set lo up", i, i + 1, i, i, i, i))
    assert(run("ip netns exec df%d tc qdisc add dev df_v%d root tbf rate %s burst 256k latency 50ms", i, i, rate),
      "tc refuses tbf")
  end
end

local function close_link()
  for i = 0, 1 do run("ip netns del df%d 2>/dev/null", i) end
end

-- PMIx and the messages use the link.
local FLAGS <const> = "--oversubscribe --mca btl self,tcp --mca btl_tcp_if_include 10.77.0.0/24 "
  .. "--mca orte_tmpdir_base /tmp"
local ENVIRONMENT <const> = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 DIFFUSION_THREADS=1 "
  .. "PMIX_MCA_ptl_base_remote_connections=1 PMIX_MCA_ptl_base_if_include=10.77.0.0/24"

local function train()
  local words = {}
  for word in (name .. " 1 1 alone " .. ways):gmatch "%S+" do words[#words + 1] = word end
  local command = "sh -c " .. child.quote(child.command("spec/bench/ranks_steps.lua", { arguments = words }))
  local pipe <close> = assert(io.popen(("ip netns exec df0 env %s mpirun %s -n 1 %s : -n 1 ip netns exec df1 %s 2>&1")
    :format(ENVIRONMENT, FLAGS, command, command)))
  return pipe:read "a"
end

local function print_steps(text)
  if not text:find "way " then return print(text) end
  kept.write(name, rate, text)
  for way, seconds in text:gmatch "way (%S+) (%S+)" do print(("%-10s %8.1f ms"):format(way, seconds * 1e3)) end
end

close_link()
local fine, why = pcall(open_link)
if fine then print_steps(train()) else print(why) end
close_link()
