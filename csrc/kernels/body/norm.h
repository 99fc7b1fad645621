/* Normalisation in two passes over rows x C: sums per channel, then one scale and one
** shift per channel. Groups, means and variances are the caller's. */
#include "kernels/vec.h"

/* The two sums of STRETCH_ROWS rows stay in registers before they join s1 and s2. */
static void moments(df_real *s1, df_real *s2, const df_real *x, const df_real *shift,
                    df_int rows, df_int C) {
  for (df_int r0 = 0; r0 < rows; r0 += STRETCH_ROWS)
    for (df_int c = 0; c < C; c += VL) {
      V centre = vload(shift + c, C - c), one = vset1(0), two = one;
      df_int end = df_min(rows, r0 + STRETCH_ROWS);
      for (df_int r = r0; r < end; r++) {
        V v = vsub(vload(x + r * C + c, C - c), centre);
        one = vadd(one, v), two = vfma(v, v, two);
      }
      vstore(s1 + c, vadd(vload(s1 + c, C - c), one), C - c);
      vstore(s2 + c, vadd(vload(s2 + c, C - c), two), C - c);
    }
}

static void norm_rows(df_real *y, const df_real *x, const df_real *centre,
                      const df_real *scale, const df_real *shift, df_int rows, df_int C) {
  for (df_int r = 0; r < rows; r++, y += C, x += C)
    for (df_int c = 0; c < C; c += VL) {
      df_int n = C - c;
      V v = vsub(vload(x + c, n), vload(centre + c, n));
      vstore(y + c, vfma(v, vload(scale + c, n), vload(shift + c, n)), n);
    }
}

static void norm_back_moments(df_real *s1, df_real *s2, const df_real *dz,
                              const df_real *x, df_int rows, df_int C) {
  for (df_int r0 = 0; r0 < rows; r0 += STRETCH_ROWS)
    for (df_int c = 0; c < C; c += VL) {
      V one = vset1(0), two = one;
      df_int end = df_min(rows, r0 + STRETCH_ROWS);
      for (df_int r = r0; r < end; r++) {
        V v = vload(dz + r * C + c, C - c);
        one = vadd(one, v), two = vfma(v, vload(x + r * C + c, C - c), two);
      }
      vstore(s1 + c, vadd(vload(s1 + c, C - c), one), C - c);
      vstore(s2 + c, vadd(vload(s2 + c, C - c), two), C - c);
    }
}

static void norm_back_rows(df_real *dx, df_real beta, const df_real *dz, const df_real *x,
                           const df_real *a, const df_real *b, const df_real *c0,
                           df_int rows, df_int C) {
  for (df_int r = 0; r < rows; r++, dx += C, dz += C, x += C)
    for (df_int c = 0; c < C; c += VL) {
      df_int n = C - c;
      V v = vfma(vload(x + c, n), vload(b + c, n), vload(c0 + c, n));
      vsink(dx + c, beta, vfma(vload(dz + c, n), vload(a + c, n), v), n);
    }
}
