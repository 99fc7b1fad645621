--- Ratios that `make bench RECORD=NAME` has measured, a table per machine: each says how many times faster than a peer
--- this library is. Other machines keep their date and version.
return {
  {
    name = "Sapphire Rapids, AMX",
    date = "2026-11-29",
    version = "0.1.0",
    threads = "2",
    times = {
      ["cifar.sample1.high"] = { pytorch = 2.1 },
      ["cifar.sample1.medium"] = { pytorch = 2.2 },
      ["cifar.sample16.high"] = { pytorch = 2.1 },
      ["cifar.sample16.medium"] = { pytorch = 1.2 },
      ["cifar.train.high"] = { pytorch = 2.3 },
      ["cifar.train.medium"] = { pytorch = 2.0 },
      ["grey.sample1.high"] = { pytorch = 2.3 },
      ["grey.sample1.medium"] = { pytorch = 2.5 },
      ["grey.sample16.high"] = { pytorch = 1.9 },
      ["grey.sample16.medium"] = { pytorch = 1.5 },
      ["grey.train.high"] = { pytorch = 1.9 },
      ["grey.train.medium"] = { pytorch = 1.8 },
      ["small.sample1.high"] = { pytorch = 2.5 },
      ["small.sample1.medium"] = { pytorch = 2.1 },
      ["small.sample16.high"] = { pytorch = 2.6 },
      ["small.sample16.medium"] = { pytorch = 1.6 },
      ["small.train.high"] = { pytorch = 2.0 },
      ["small.train.medium"] = { pytorch = 2.5 },
    },
  },
  {
    name = "Sapphire Rapids, AMX",
    date = "2026-11-30",
    version = "0.1.0",
    threads = "2",
    times = {
      ["sd.decode.high"] = { openvino = 2.19 },
      ["sd.decode.medium"] = { openvino = 1.14 },
      ["sd.text.high"] = { openvino = 1.97 },
      ["sd.text.medium"] = { openvino = 1.24 },
      ["sd.unet.high"] = { openvino = 1.86 },
      ["sd.unet.medium"] = { openvino = 1.10 },
    },
  },
}
