-- fails(sentence, fn, ...) checks that fn raises a message that contains the sentence
-- literally.
return function(sentence, fn, ...)
  local ok, message = pcall(fn, ...)
  assert(not ok, ("nothing failed with %q"):format(sentence))
  assert(tostring(message):find(sentence, 1, true), ("%q isn't in %q"):format(sentence, tostring(message)))
end
