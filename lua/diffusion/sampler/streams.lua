--- Who draws of a run's seed: base/philox.h has the same numbers.
return { start = 5, step = 6 } -- DF_STREAM_START, DF_STREAM_SAMPLER
