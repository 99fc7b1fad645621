--- How PyTorch runs each workload best on the machine where `make bench BENCH=search` last
-- wrote this file: layout and the like, by the words of peer/setting.py.
return {
  versions = {
    ["cpu"] = "Intel(R) Xeon(R) Processor",
    ["onednn"] = "v3.12.0",
    ["torch"] = "2.13.0+cpu",
  },
  default = {
    ["ddim"] = "compile,freeze,nhwc,malloc",
    ["op"] = "nhwc,malloc",
    ["pass"] = "malloc",
    ["sample"] = "compile,freeze,nhwc,malloc",
    ["sd"] = "nhwc",
    ["train"] = "nhwc,malloc",
  },
  best = {
    ["cifar.train.high"] = "compile,nhwc,malloc",
    ["cifar.train.medium"] = "nchw,malloc",
    ["demo.train.high"] = "compile,nhwc,malloc",
    ["demo.train.medium"] = "nchw,malloc",
    ["grey.train.high"] = "compile,nhwc,malloc",
    ["grey.train.medium"] = "compile,nhwc,malloc",
    ["mlp.sample1.high"] = "compile,freeze,nhwc,malloc,wrapper",
    ["mlp.train.high"] = "compile,nhwc,malloc",
    ["mlp.train.medium"] = "compile,nhwc,malloc",
    ["small.train.high"] = "nhwc,malloc",
    ["small.train.medium"] = "compile,nhwc,malloc,foreach",
  },
}
