/* Linear combinations, for noising, posteriors, guidance and sampler updates. */
#include "kernels/vec.h"

static void mix(df_real *y, df_real beta, const df_real *c, const df_real *const *x,
                df_int k, df_int n) {
  for (df_int i = 0; i < n; i += VL) {
    V s = beta == 0 ? vset1(0) : vmul(vset1(beta), vload(y + i, n - i));
    for (df_int j = 0; j < k; j++) s = vfma(vset1(c[j]), vload(x[j] + i, n - i), s);
    vstore(y + i, s, n - i);
  }
}
