-- Text for people and other programs. Bytes in names from outside can't control a terminal. The
-- locale of the host program doesn't change a number, a letter or an order.
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

--- A text from outside in printable form. UTF-8, line breaks and tabs stay. Characters that control
--- a terminal, and bytes that are not UTF-8, become \xHH or \u{H}.
---@param value any
---@return string
function legible.printable(value) return core.printable(legible.text(value)) end

--- The same on one line.
---@param value any
---@return string
function legible.line(value) return core.printable(legible.text(value), true) end

--- A sentence whose arguments may be names from outside.
---@param format string
---@param ... any
---@return string
function legible.said(format, ...) return core.printable(legible.format(format, ...)) end

--- nil and a message, for a failure of files or other programs.
---@param format string
---@param ... any
---@return nil
---@return string message
function legible.refused(format, ...) return nil, legible.said(format, ...) end

--- The text of a function for people, printable and with decimal points.
---@param tell fun(...): string
---@param ... any its arguments
---@return string
function legible.told(tell, ...) return core.printable(core.in_c_locale(tell, ...)) end

--- Makes the __tostring of a metatable printable, with decimal points.
---@param meta table with __tostring
function legible.speaks(meta)
  local text = meta.__tostring
  function meta.__tostring(thing) return legible.told(text, thing) end
end

return legible
