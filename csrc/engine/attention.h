/* Scaled dot-product attention with heads, forward and backward. */
#ifndef df_attention_h
#define df_attention_h

#include "base/base.h"
#include "base/error.h"

/* softmax(q k^T / sqrt(D)) v in each head.   q, y: B, N, heads D    k, v: B, M, heads D */
typedef struct df_attend {
  df_int B, N, M, heads, D;
  df_precision precision;
} df_attend;

/* Tokens to read: thirds of one projection, say. The heads D reals of one are adjacent. */
typedef struct df_tokens {
  const df_real *at;
  df_int token, sample; /* reals from a token to the next, from a sample to the next */
} df_tokens;

/* y is dense; so is `softmax`, what the backward needs to have the probabilities again:
** the largest score and one over the sum of each query.   softmax: B, heads, 2, N */
df_code df_attend_forward(const df_attend *a, df_real *y, df_real *softmax, df_tokens q,
                          df_tokens k, df_tokens v);

typedef struct df_attend_kept {
  df_tokens q, k, v;
  const df_real *y, *softmax, *dy;
} df_attend_kept;

/* Adds to dq, dk and dv (dense; NULL: not wanted), which may be one and the same where q, k
** and v are. The probabilities are computed again instead of kept: they cost one product in
** five, but B heads N M reals to keep, 600 MB for four heads on a batch of 64 at 28 x 28. */
df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_attend_kept *kept);

#endif
