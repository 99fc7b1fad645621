/* Philox4x32-10 is a pure function from (counter, key) to four 32-bit words. See Salmon
** et al. 2011, "Parallel random numbers: as easy as 1, 2, 3". All random numbers are
** keyed by (seed, stream, sample, step, element). So sample k has the same bits alone, in
** a batch, with any number of threads, and after a resume. */
#ifndef df_philox_h
#define df_philox_h

#include "base/base.h"

/* The consumer of the numbers. Two streams with the same seed never share numbers. */
typedef enum df_stream {
  DF_STREAM_USER = 0, /* rand, randn, randint, randperm; step counts the calls */
  DF_STREAM_INIT,     /* initial values; step is a hash of the parameter's name */
  DF_STREAM_DATA,     /* order and flips of batches */
  DF_STREAM_TRAIN,    /* t, eps and class dropping of an objective */
  DF_STREAM_DROPOUT,
  DF_STREAM_START,             /* x_T, where a sampler starts */
  DF_STREAM_SAMPLER,           /* noise of a sampler step */
  DF_STREAM_NOISE,             /* q_sample and q_step with a seed */
  DF_STREAMS,                  /* number of streams that count their draws */
  DF_STREAM_PATH = DF_STREAMS, /* Brownian path; step is a tree node */
  DF_STREAM_LIKELIHOOD         /* t, eps and probes of d.likelihood */
} df_stream;

/* Kinds of draw, added to DF_STREAM_USER. Two kinds with the same seed share no
** numbers. */
typedef enum df_draw {
  DF_DRAW_NORMAL = 0,
  DF_DRAW_UNIFORM = 1 << 8,
  DF_DRAW_WHOLE = 2 << 8,
  DF_DRAW_ORDER = 3 << 8,
  DF_DRAW_COIN = 4 << 8
} df_draw;

typedef struct df_random {
  uint64_t seed;
  uint32_t stream, sample, step;
} df_random;

typedef struct df_words {
  uint32_t word[4];
} df_words;

static inline df_words df_philox(const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1, c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return (df_words){ { c0, c1, c2, c3 } };
}

/* Returns the words of elements 4 block to 4 block + 3. */
static inline df_words df_random_block(const df_random *r, uint32_t block) {
  uint32_t counter[4] = { block, r->sample, r->step, r->stream };
  uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) };
  return df_philox(counter, key);
}

/* Converts a word to a uniform number in (0, 1). It is never 0, so its logarithm is
** finite, and never 1. The result is exact in float, so float and double builds draw the
** same. */
static inline double df_unit(uint32_t word) {
  return ((double)(word >> 9) + 0.5) * (1.0 / 8388608.0);
}

#endif
