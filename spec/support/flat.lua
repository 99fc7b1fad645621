-- flat(x): the elements of a tensor of floats or integers as a list, in order.
local code = { f32 = "<f", f64 = "<d", i64 = "<i8", u8 = "B" }

return function(x)
  local bytes, format, out = x:bytes(), code[x:dtype()], {}
  local at = 1
  for i = 1, x:numel() do out[i], at = string.unpack(format, bytes, at) end
  return out
end
