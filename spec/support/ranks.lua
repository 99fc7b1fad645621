-- Runs scripts on several ranks under mpirun, with the modules of the tree.
local child = dofile "spec/support/child.lua"

local ranks = {}

local environment = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 DIFFUSION_THREADS=1"
local flags = "--oversubscribe --mca mpi_yield_when_idle 1 --mca btl self,vader --mca orte_tmpdir_base /tmp"

--- Why ranks can't run here, or nil. A sanitizer's library doesn't reach them.
function ranks.absence()
  if os.getenv "DIFFUSION_PRELOAD" then return "not under a sanitizer" end
  if not package.searchpath("diffusion.mpi", package.cpath) then return "built without MPI" end
  if not child.has "mpirun" then return "mpirun isn't installed" end
end

--- Open MPI's flags belong to its own mpirun. MPICH's takes none of them.
local function is_open_mpi()
  local pipe <close> = assert(io.popen "mpirun --version 2>&1")
  return pipe:read "a":find("Open MPI", 1, true) ~= nil
end

--- A variable that one rank alone has. Open MPI and MPICH each have a name for the number of a rank.
---@param rank integer
---@param variable string as NAME=VALUE
---@return string
function ranks.only(rank, variable)
  return ("$(test ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} = %d && echo %s)"):format(rank, variable)
end

--- The command that runs a script on n ranks; n = 0: without mpirun.
---@param n integer
---@param path string
---@param arguments string[]|nil
---@param own string|nil variables of a rank's shell, such as those of ranks.only
---@param most integer|nil seconds after which it is ended; default 60
function ranks.command(n, path, arguments, own, most)
  local command = child.command(path, { arguments = arguments, env = environment .. " " .. (own or "") })
  if n == 0 then return command end
  local start = ("mpirun %s -n %d sh -c %s"):format(is_open_mpi() and flags or "", n, child.quote(command))
  return ("env %s timeout %d %s"):format(environment, most or 60, start)
end

--- Runs a script on n ranks to its end.
---@return string text what all ranks wrote, errors too
---@return integer code
function ranks.run(n, path, arguments, own, most)
  local pipe = assert(io.popen("exec 2>&1; " .. ranks.command(n, path, arguments, own, most)))
  local text = pipe:read "a"
  local _, _, code = pipe:close()
  return text, code
end

return ranks
