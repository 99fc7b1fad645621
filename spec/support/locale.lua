-- An unusual locale, made by localedef from the definition here. It has a decimal comma,
-- and sorts z before b before a. G and P have the lower-case letters h and q. Bytes of
-- UTF-8 are control characters.
local child = require "spec.support.child"

local source = [[
comment_char %
escape_char /
LC_CTYPE
upper <U0041>..<U005A>
lower <U0061>..<U007A>
digit <U0030>..<U0039>
space <U0020>;<U0009>..<U000D>
cntrl <U0000>..<U001F>;<U007F>..<U009F>
tolower (<U0047>,<U0068>);(<U0050>,<U0071>)
END LC_CTYPE
LC_NUMERIC
decimal_point "<U002C>"
thousands_sep "<U002E>"
grouping 3;3
END LC_NUMERIC
LC_COLLATE
order_start forward
<U007A>
<U0062>
<U0061>
order_end
END LC_COLLATE
]]

local function charmap()
  local lines = { "<code_set_name> OWN\n<comment_char> %\n<escape_char> /\nCHARMAP\n" }
  for byte = 0, 255 do lines[#lines + 1] = ("<U%04X> /x%02x\n"):format(byte, byte) end
  return table.concat(lines) .. "END CHARMAP\n"
end

local locale = { name = "own" }

--- Makes it in a folder. With the folder as LOCPATH, os.setlocale(locale.name) finds it.
---@param folder string
---@return boolean made false where there is no localedef
function locale.make(folder)
  if not child.has "localedef" then return false end
  child.write(folder .. "/source", source)
  child.write(folder .. "/charmap", charmap())
  os.execute(("cd %s && localedef -c -f ./charmap -i source ./%s >/dev/null 2>&1"):format(child.quote(folder),
    locale.name))
  return child.read(("%s/%s/LC_NUMERIC"):format(folder, locale.name)) ~= nil
end

return locale
