-- A test at the precision "highest". Products of "high" by bf16 tiles differ from float32 by
-- up to 1e-5, and a network sums them.
local d = require "diffusion"

return function(body)
  return function()
    local before = d.precision()
    d.precision "highest"
    local ok, message = pcall(body)
    d.precision(before)
    if not ok then error(message, 0) end
  end
end
