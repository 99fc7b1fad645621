-- PyTorch's names of tensor methods -> ours, for the message about an unknown name.
return {
  cat = "d.cat({x, y}, dim)", stack = "d.stack({x, y}, dim)", mix = "d.mix(1, x, 1, y)",
  chunk = "x:narrow(dim, from, count)", split = "x:narrow(dim, from, count)", transpose = "x:permute(2, 1)",
  mT = "x:t()", mm = "x:matmul(y)", bmm = "x:matmul(y)", tolist = "x:totable()", numpy = "x:totable()",
  float = 'x:to "f32"', double = 'x:to "f64"', half = 'x:to "f16"', long = 'x:to "i64"', byte = 'x:to "u8"',
  ndim = "x:dim()", nelement = "x:numel()", amax = "x:max(dim)", amin = "x:min(dim)",
  cuda = "x itself: it runs on CPUs",
  cpu = "x itself: it runs on CPUs", repeat_interleave = "x:repeat_each(n, dim)", tile = "x:expand(shape)",
  unsqueeze_ = "x:unsqueeze(dim)", requires_grad_ = "d.grad(fn, x)", index_select = "x:index(dim, places)",
}
