-- A test at the precision "highest". Where tiles multiply bf16, products of "high" differ
-- from those of float32 by up to 1e-5, and networks add that up.
local d = require "diffusion"

return function(body)
  return function()
    local before <close> = setmetatable({ d.precision() }, { __close = function(p) d.precision(p[1]) end })
    d.precision "highest"
    body()
  end
end
