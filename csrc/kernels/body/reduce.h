/* Reductions to one number. Sums use four vectors over a stretch, and each stretch is
** added to a double. The order depends on n alone, and the error does not grow with n. */
#include "kernels/vec.h"

#define STRETCH (256 * VL) /* 64 additions per lane lose half a digit at most */

INLINE double fold(const df_real *a, const df_real *b, df_int n,
                   V step(V sum, V a, V b)) {
  V zero = vset1(0), s[4] = { zero, zero, zero, zero };
  df_int i = 0;
  for (; i + 4 * VL <= n; i += 4 * VL)
    for (int k = 0; k < 4; k++)
      s[k] = step(s[k], vload(a + i + k * VL, VL), vload(b + i + k * VL, VL));
  for (; i < n; i += VL) s[0] = step(s[0], vload(a + i, n - i), vload(b + i, n - i));
  return vsum(vadd(vadd(s[0], s[1]), vadd(s[2], s[3])));
}

INLINE double fold_all(const df_real *a, const df_real *b, df_int n, V step(V, V, V)) {
  double total = 0;
  for (df_int i = 0; i < n; i += STRETCH)
    total += fold(a + i, b + i, df_min(n - i, STRETCH), step);
  return total;
}

static inline V plus(V sum, V a, V b) {
  (void)b;
  return vadd(sum, a);
}
static inline V plus_product(V sum, V a, V b) { return vfma(a, b, sum); }

static double sum(const df_real *x, df_int n) { return fold_all(x, x, n, plus); }
static double sum_squares(const df_real *x, df_int n) {
  return fold_all(x, x, n, plus_product);
}
static double dot(const df_real *a, const df_real *b, df_int n) {
  return fold_all(a, b, n, plus_product);
}

/* The maximum of f(x), with f the identity or the negation. */
INLINE df_real extreme(const df_real *x, df_int n, V f(V)) {
  V first = f(vset1(*x)), best[2] = { first, first };
  df_int i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL)
    for (int k = 0; k < 2; k++) best[k] = vmax_nan(best[k], f(vload(x + i + k * VL, VL)));
  for (; i < n; i += VL) {
    V v = vselect(vfirst(n - i), f(vload(x + i, n - i)), first);
    best[0] = vmax_nan(best[0], v);
  }
  df_real lane[VL];
  vstore(lane, vmax_nan(best[0], best[1]), VL);
  df_real most = lane[0];
  for (int k = 1; k < VL; k++) /* no comparison is true for NaN, so NaN stays */
    if (lane[k] > most || lane[k] != lane[k]) most = lane[k];
  return most;
}

static inline V itself(V v) { return v; }

static df_real largest(const df_real *x, df_int n) { return extreme(x, n, itself); }
static df_real smallest(const df_real *x, df_int n) { return -extreme(x, n, vneg); }

#define STRETCH_ROWS 64 /* rows summed in registers before they join y */

static void sum_rows(df_real *y, const df_real *x, df_int rows, df_int C, df_int ld) {
  for (df_int r0 = 0; r0 < rows; r0 += STRETCH_ROWS)
    for (df_int c = 0; c < C; c += VL) {
      V s = vset1(0);
      df_int end = df_min(rows, r0 + STRETCH_ROWS);
      for (df_int r = r0; r < end; r++) s = vadd(s, vload(x + r * ld + c, C - c));
      vstore(y + c, vadd(vload(y + c, C - c), s), C - c);
    }
}
