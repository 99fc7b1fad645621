/* Scaled dot-product attention with heads, forward and backward. */
#ifndef df_attention_h
#define df_attention_h

#include "base/base.h"
#include "base/error.h"

/* softmax(q k^T / sqrt(D) + mask) v in each head.
**   q, y: B, N, heads D    k, v: B, M, heads D
** With `causal`, query i sees only the keys 0 .. i + M - N. */
typedef struct df_attend {
  df_int B, N, M, heads, D;
  df_precision precision;
  bool causal;
} df_attend;

/* Tokens to read, such as thirds of one projection. The heads D reals of a token are
** adjacent. */
typedef struct df_tokens {
  const df_real *at;
  df_int token, sample; /* reals from a token to the next, from a sample to the next */
} df_tokens;

/* Reals that are added to the scores. The M reals of a query are adjacent. */
typedef struct df_mask {
  const df_real *at;          /* NULL: no mask */
  df_int sample, head, query; /* reals to the next one; 0 if all have the same */
} df_mask;

/* y is dense, and so is `softmax`, which has two numbers a query. The first is its top,
** an integer near its largest score as a power of 2. The second is one over the sum of
** all powers below the top. Backward recomputes the probabilities from them.
**   softmax: B, heads, 2, N */
df_code df_attend_forward(const df_attend *a, df_real *y, df_real *softmax, df_tokens q,
                          df_tokens k, df_tokens v, df_mask mask);

typedef struct df_attend_kept {
  df_tokens q, k, v;
  df_mask mask;
  const df_real *y, *softmax, *dy;
} df_attend_kept;

/* Adds to dq, dk and dv, which are dense; NULL: not wanted. They may be the same if q, k
** and v are. The probabilities are recomputed, which costs one product in five. Saving
** them would take B heads N M reals: 600 MB for four heads and a batch of 64 at 28 x
** 28. */
df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_attend_kept *kept);

#endif
