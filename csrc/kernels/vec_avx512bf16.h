/* The operations of vec.h on pairs of bf16, in AVX512-BF16. It extends vec_avx512.h. */
#ifndef df_vec_avx512bf16_h
#define df_vec_avx512bf16_h

#include "kernels/vec_avx512.h"

#include <string.h>

#define HAVE_PAIRS
#define PAIR_ROWS 14 /* 28 sums, 2 weights and an x, as in rows */

typedef __m512bh P;

static inline P pload(const uint16_t *p) { return (P)_mm512_loadu_si512(p); }
static inline P pset1(const uint16_t *p) {
  int pair;
  memcpy(&pair, p, sizeof pair);
  return (P)_mm512_set1_epi32(pair);
}
static inline V rdot(P a, P b, V s) { return _mm512_dpbf16_ps(s, a, b); }

#endif
