/* Scaled dot-product attention with heads, forward and backward. */
#ifndef df_attention_h
#define df_attention_h

#include "base/base.h"
#include "base/error.h"

/* softmax(q k^T / sqrt(D)) v in each head.   q, y: B, N, heads D    k, v: B, M, heads D */
typedef struct df_attend {
  df_int B, N, M, heads, D;
  bool round; /* operands of products to bf16 */
} df_attend;

df_code df_attend_forward(const df_attend *a, df_real *y, const df_real *q,
                          const df_real *k, const df_real *v);

/* Adds to dq, dk and dv (NULL: not wanted), which may be one and the same where q, k and
** v are. The probabilities are computed again instead of kept: they cost one product in six,
** but B heads N M reals to keep, 600 MB for four heads on a batch of 64 at 28 x 28. */
df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_real *dy, const df_real *q, const df_real *k,
                           const df_real *v);

#endif
