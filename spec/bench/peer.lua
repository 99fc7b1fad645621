--- How PyTorch runs each workload best on the machine where `make bench BENCH=search` last
-- wrote this file: layout and the like, by the words of peer/setting.py.
return {
  versions = {
    ["cpu"] = "AMD EPYC",
    ["onednn"] = "v3.12.0",
    ["torch"] = "2.13.0+cpu",
  },
  best = {
    ["mlp.sample1.high"] = "compile,freeze,nchw,malloc,wrapper",
    ["small.train.high"] = "nhwc,malloc",
  },
}
