--- How much memory a training step needs at most: what the process has had at once, less
-- what it had when the library was loaded.
local sides = require "sides"

local memory = {}

-- Bytes of a worker after some steps: needed, and of the whole process.
local function peak(worker)
  worker:ask "time 3"
  local answer = worker:ask "memory"
  worker:close()
  return answer.peak - answer.imported, tonumber(answer.peak)
end

--- MiB of both sides; of the peer nil where there is none.
function memory.measure(w)
  local ours, whole = peak(sides.ours(w))
  local other = sides.opponents(w)[1]
  local theirs, their_whole
  if other then theirs, their_whole = peak(other.start()) end
  print(("  whole process: ours %.0f MiB"):format(whole / 2 ^ 20)
    .. (theirs and (", peer %.0f MiB (%s)"):format(their_whole / 2 ^ 20, w.variant) or ""))
  return ours / 2 ^ 20, theirs and theirs / 2 ^ 20
end

return memory
