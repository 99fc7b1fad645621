-- A sampler as text for specs: its name, or its name with its sorted options.
return function(sampler)
  if type(sampler) == "string" then return sampler end
  local words = {}
  for k, v in pairs(sampler) do
    if k ~= 1 then words[#words + 1] = k .. " = " .. tostring(v) end
  end
  table.sort(words)
  return sampler[1] .. " with " .. table.concat(words, ", ")
end
