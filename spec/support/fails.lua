-- fails(sentence, fn, ...): calling fn raises, and the message has the sentence in it, as it
-- stands.
return function(sentence, fn, ...)
  local ok, message = pcall(fn, ...)
  assert(not ok, ("nothing failed with %q"):format(sentence))
  assert(tostring(message):find(sentence, 1, true), ("%q isn't in %q"):format(sentence, tostring(message)))
end
