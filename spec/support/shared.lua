-- Checks that threads shared work. On a busy machine the caller may take all chunks
-- before another thread wakes. So the work is repeated until a second thread has taken
-- part.
local core = require "diffusion.core"

local shared = {}

--- Runs `work` until a second thread has taken part. Fails if none ever does.
---@param work function
function shared.surely(work)
  local before, tries = core.pool().split, 0
  repeat
    work()
    tries = tries + 1
  until core.pool().split > before or tries == 200
  assert(core.pool().split > before, "no work was shared among threads")
end

return shared
