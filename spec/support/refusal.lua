--- Checks the results of a function for an outside failure: nil, and a message with these
--- parts.
---@param parts string[]
---@param nothing any
---@param message any
return function(parts, nothing, message)
  assert(nothing == nil, "something was returned, not nil")
  for _, part in ipairs(parts) do
    assert(tostring(message):find(part, 1, true), ("%q isn't in %q"):format(part, tostring(message)))
  end
end
