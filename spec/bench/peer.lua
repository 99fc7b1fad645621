--- How PyTorch runs each workload best on the machine where `make bench BENCH=search` last
-- wrote this file: layout and the like, by the words of peer/setting.py.
return {
  versions = {},
  best = {},
}
