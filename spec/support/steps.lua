-- check(g, N, T, whole, what) checks that a grid has N falling times in (0, T]. Each step
-- must end where the next begins, and the last at g.last. With `whole` all are integers.
return function(g, N, T, whole, what)
  if #g ~= N then error(("%s %d has %d steps"):format(what, N, #g)) end
  local before
  for i, step in ipairs(g) do
    local t, s = step[1], step[2]
    if not (t == (before or t) and t > 0 and t <= T and s < t) or whole and math.type(t) ~= "integer" then
      error(("%s %d: step %d is %s -> %s"):format(what, N, i, t, s))
    end
    before = s
  end
  if before ~= g.last then error(("%s %d ends at %s"):format(what, N, before)) end
end
