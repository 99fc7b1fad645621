-- Text as people and other programs may have it: no byte of a foreign name steers a
-- terminal, and no locale of the host program changes a number, a letter or an order.
local core = require "diffusion.core"

local legible = {}

--- string.format with decimal points.
---@param format string
---@param ... any
---@return string
function legible.format(format, ...) return core.in_c_locale(string.format, format, ...) end

--- tostring with decimal points.
---@param value any
---@return string
function legible.text(value) return core.in_c_locale(tostring, value) end

--- A to Z as a to z, and no other letter.
---@param text string
---@return string
function legible.lower(text) return core.in_c_locale(string.lower, text) end

--- A foreign text as people may see it: UTF-8, line breaks and tabs stay; what steers a
--- terminal, or is no UTF-8, is \xHH or \u{H}.
---@param value any
---@return string
function legible.printable(value) return core.printable(legible.text(value)) end

--- The same on one line.
---@param value any
---@return string
function legible.line(value) return core.printable(legible.text(value), true) end

--- A sentence in which foreign names may stand.
---@param format string
---@param ... any
---@return string
function legible.said(format, ...) return core.printable(legible.format(format, ...)) end

--- What the outside world did wrong.
---@param format string
---@param ... any
---@return nil
---@return string message
function legible.refused(format, ...) return nil, legible.said(format, ...) end

--- What a function tells people, printable, with decimal points.
---@param tell fun(...): string
---@param ... any its arguments
---@return string
function legible.told(tell, ...) return core.printable(core.in_c_locale(tell, ...)) end

--- Makes what a kind of thing says of itself printable, with decimal points.
---@param meta table with __tostring
function legible.speaks(meta)
  local text = meta.__tostring
  function meta.__tostring(thing) return legible.told(text, thing) end
end

return legible
