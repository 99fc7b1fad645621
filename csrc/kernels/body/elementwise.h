/* Functions of one and of two numbers, and loops that apply them to arrays. A body is a
** function of vectors, which is inlined into the loop of its kind. */
#include "kernels/vec.h"

/* All vectors but the last are full, with VL as a compile-time constant. For a cheap f
** this takes half the time of a loop that tests at each load and store. */
INLINE void map(df_real *y, const df_real *x, df_int n, V f(V)) {
  df_int i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, f(vload(x + i, VL)), VL);
  if (i < n) vstore(y + i, f(vload(x + i, n - i)), n - i);
}

INLINE void map_back(df_real *dx, df_real beta, const df_real *dy, const df_real *k,
                     df_int n, V f(V dy, V k)) {
  df_int i = 0;
  for (; i + VL <= n; i += VL)
    vsink(dx + i, beta, f(vload(dy + i, VL), vload(k + i, VL)), VL);
  if (i < n) vsink(dx + i, beta, f(vload(dy + i, n - i), vload(k + i, n - i)), n - i);
}

INLINE void map2(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                 df_int n, V f(V, V)) {
  if (n <= 0) return;
  V all_a = vset1(*a), all_b = vset1(*b); /* read first, as y may alias them */
  for (df_int i = 0; i < n; i += VL) {
    V u = sa ? vload(a + i, n - i) : all_a, v = sb ? vload(b + i, n - i) : all_b;
    vstore(y + i, f(u, v), n - i);
  }
}

static inline V sign_of(V x) {
  V zero = vset1(0), one = vset1(1);
  return vselect(vlt(zero, x), one, vselect(vlt(x, zero), vneg(one), x)); /* NaN stays */
}
static inline V reciprocal_of(V x) { return vdiv(vset1(1), x); }
static inline V square_of(V x) { return vmul(x, x); }

static void neg(df_real *y, const df_real *x, df_int n) { map(y, x, n, vneg); }
static void absolute(df_real *y, const df_real *x, df_int n) { map(y, x, n, vabs); }
static void sign(df_real *y, const df_real *x, df_int n) { map(y, x, n, sign_of); }
static void floor_(df_real *y, const df_real *x, df_int n) { map(y, x, n, vfloor); }
static void round_(df_real *y, const df_real *x, df_int n) { map(y, x, n, vround); }
static void exponential(df_real *y, const df_real *x, df_int n) { map(y, x, n, vexp); }
static void logarithm(df_real *y, const df_real *x, df_int n) { map(y, x, n, vlog); }
static void square_root(df_real *y, const df_real *x, df_int n) { map(y, x, n, vsqrt); }
static void reciprocal(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, reciprocal_of);
}
static void square(df_real *y, const df_real *x, df_int n) { map(y, x, n, square_of); }
static void sine(df_real *y, const df_real *x, df_int n) { map(y, x, n, vsin); }
static void cosine(df_real *y, const df_real *x, df_int n) { map(y, x, n, vcos); }
static void error_function(df_real *y, const df_real *x, df_int n) { map(y, x, n, verf); }
static void error_complement(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, verfc);
}
static void log_complement(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, vlog_erfc);
}

static inline V abs_slope(V dy, V x) { return vmul(dy, sign_of(x)); }
static inline V log_slope(V dy, V x) { return vdiv(dy, x); }
static inline V exp_slope(V dy, V y) { return vmul(dy, y); }
static inline V sqrt_slope(V dy, V y) { return vdiv(vmul(dy, vset1((df_real)0.5)), y); }
static inline V reciprocal_slope(V dy, V x) { return vneg(vdiv(dy, vmul(x, x))); }
static inline V square_slope(V dy, V x) { return vmul(dy, vadd(x, x)); }
static inline V sin_slope(V dy, V x) { return vmul(dy, vcos(x)); }
static inline V cos_slope(V dy, V x) { return vneg(vmul(dy, vsin(x))); }
static inline V erf_slope(V dy, V x) { /* 2 / sqrt(pi) e^(-x^2) */
  V bell = vexp(vneg(vmul(x, x)));
  return vmul(dy, vmul(vset1((df_real)1.1283791670955125739), bell));
}
static inline V erfc_slope(V dy, V x) { return vneg(erf_slope(dy, x)); }
static inline V log_erfc_slope(V dy, V x) { /* -2 / sqrt(pi) e^(-x^2) / erfc(x) */
  V one = vset1(1), c = vmul(dy, vset1((df_real)-1.1283791670955125739));
  M far = vlt(one, x); /* each quotient where it is accurate */
  return vselect(far, vdiv(c, verfcx(x)), vdiv(vmul(c, vbell(x)), verfc(x)));
}

static void abs_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                     df_int n) {
  map_back(dx, beta, dy, x, n, abs_slope);
}
static void log_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                     df_int n) {
  map_back(dx, beta, dy, x, n, log_slope);
}
static void exp_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                     df_int n) {
  map_back(dx, beta, dy, y, n, exp_slope);
}
static void sqrt_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                      df_int n) {
  map_back(dx, beta, dy, y, n, sqrt_slope);
}
static void reciprocal_back(df_real *dx, df_real beta, const df_real *dy,
                            const df_real *x, df_int n) {
  map_back(dx, beta, dy, x, n, reciprocal_slope);
}
static void square_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                        df_int n) {
  map_back(dx, beta, dy, x, n, square_slope);
}
static void sin_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                     df_int n) {
  map_back(dx, beta, dy, x, n, sin_slope);
}
static void cos_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                     df_int n) {
  map_back(dx, beta, dy, x, n, cos_slope);
}
static void erf_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                     df_int n) {
  map_back(dx, beta, dy, x, n, erf_slope);
}
static void erfc_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                      df_int n) {
  map_back(dx, beta, dy, x, n, erfc_slope);
}
static void log_erfc_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                          df_int n) {
  map_back(dx, beta, dy, x, n, log_erfc_slope);
}

static void add(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                df_int n) {
  map2(y, a, sa, b, sb, n, vadd);
}
static void sub(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                df_int n) {
  map2(y, a, sa, b, sb, n, vsub);
}
static void mul(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                df_int n) {
  map2(y, a, sa, b, sb, n, vmul);
}
static void div_(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                 df_int n) {
  map2(y, a, sa, b, sb, n, vdiv);
}
static void maximum(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                    df_int n) {
  map2(y, a, sa, b, sb, n, vmax_nan);
}
static void minimum(df_real *y, const df_real *a, df_int sa, const df_real *b, df_int sb,
                    df_int n) {
  map2(y, a, sa, b, sb, n, vmin_nan);
}

static void product(df_real *y, df_real beta, df_real c, const df_real *a, df_int sa,
                    const df_real *b, df_int sb, df_int n) {
  if (n <= 0) return;
  V all_a = vset1(*a), all_b = vset1(*b), factor = vset1(c);
  for (df_int i = 0; i < n; i += VL) {
    V u = sa ? vload(a + i, n - i) : all_a, v = sb ? vload(b + i, n - i) : all_b;
    vsink(y + i, beta, vmul(factor, vmul(u, v)), n - i);
  }
}

static void clamp(df_real *y, const df_real *x, df_real low, df_real high, df_int n) {
  V l = vset1(low), h = vset1(high);
  for (df_int i = 0; i < n; i += VL)
    vstore(y + i, vmin(h, vmax(l, vload(x + i, n - i))), n - i); /* NaN stays */
}
