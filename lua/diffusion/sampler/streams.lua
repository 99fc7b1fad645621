--- Who draws of a run's seed, or a likelihood's: base/philox.h has the same numbers.
return { start = 5, step = 6, likelihood = 9 } -- DF_STREAM_START, DF_STREAM_SAMPLER, DF_STREAM_LIKELIHOOD
