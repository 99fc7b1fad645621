/* Softmax of one row, its gradient, and logsumexp. Attention has its rows in columns. It
** handles many columns at once and never sums across a vector. */
#include "kernels/vec.h"

/* y = e^(scale x - top); in place allowed. */
static void exp_below(df_real *y, const df_real *x, df_real scale, df_real top,
                      df_int n) {
  V factor = vset1(scale), less = vset1(-top);
  for (df_int i = 0; i < n; i += VL)
    vstore(y + i, vexp(vfma(factor, vload(x + i, n - i), less)), n - i);
}

static void scale_by(df_real *y, df_real c, df_int n) {
  V factor = vset1(c);
  for (df_int i = 0; i < n; i += VL)
    vstore(y + i, vmul(factor, vload(y + i, n - i)), n - i);
}

static void softmax(df_real *y, const df_real *x, df_real scale, df_int n) {
  if (n <= 0) return;
  df_real top = scale * (scale < 0 ? smallest(x, n) : largest(x, n));
  if (top == -(df_real)INFINITY) { /* all masked */
    memset(y, 0, (size_t)n * sizeof *y);
    return;
  }
  exp_below(y, x, scale, top, n);
  scale_by(y, (df_real)(1 / sum(y, n)), n);
}

static void softmax_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                         df_real scale, df_int n) {
  V mean = vset1((df_real)dot(dy, y, n)), factor = vset1(scale);
  for (df_int i = 0; i < n; i += VL) {
    V d = vsub(vload(dy + i, n - i), mean);
    vsink(dx + i, beta, vmul(vmul(factor, vload(y + i, n - i)), d), n - i);
  }
}

static double logsumexp(const df_real *x, df_int n) {
  df_real top = largest(x, n), part[STRETCH];
  if (!(top - top == 0)) return (double)top; /* an infinity or NaN */
  double total = 0;
  for (df_int i = 0; i < n; i += STRETCH) {
    df_int count = df_min(n - i, STRETCH);
    exp_below(part, x + i, 1, top, count);
    total += sum(part, count);
  }
  /* cppcheck-suppress invalidFunctionArg; total >= 1, as top is finite */
  return (double)top + log(total);
}

/* ---- softmax in each column of rows x C -------------------------------------------- */

#define TO_ZERO (sizeof(df_real) == sizeof(double) ? -800 : -104) /* e^TO_ZERO is 0 */

/* e^(scale (x - top)) for x <= top; it is exactly 1 at x == top. */
static inline V below_top(V factor, V x, V top) {
  return vexp_near(vmax(vset1(TO_ZERO), vmul(factor, vsub(x, top))));
}

static void softmax_columns(df_real *p, df_real *top, df_real *share, df_real scale,
                            df_int rows, df_int C) {
  V factor = vset1(scale), half = vset1((df_real)0.5);
  for (df_int c = 0; c < C; c += VL) {
    df_int n = C - c;
    V most = vset1(-(df_real)INFINITY), total = vset1(0);
    for (df_int r = 0; r < rows; r++) most = vmax(vload(p + r * C + c, n), most);
    most = vselect(veq(most, vset1(-(df_real)INFINITY)), vset1(0), most);
    for (df_int r = 0; r < rows;) {
      V part = vset1(0);
      for (df_int end = df_min(rows, r + STRETCH_ROWS); r < end; r++) {
        V e = below_top(factor, vload(p + r * C + c, n), most);
        part = vadd(part, e);
        vstore(p + r * C + c, e, n);
      }
      total = vadd(total, part);
    }
    vstore(top + c, most, n);
    /* The largest term is 1. A total of 0 means that all is -inf, and then share is 0. */
    vstore(share + c, vselect(vlt(total, half), vset1(0), vdiv(vset1(1), total)), n);
  }
}

static void softmax_again(df_real *p, const df_real *top, const df_real *share,
                          df_real scale, df_int rows, df_int C) {
  V factor = vset1(scale);
  for (df_int c = 0; c < C; c += VL) {
    df_int n = C - c;
    V most = vload(top + c, n), one = vload(share + c, n);
    for (df_int r = 0; r < rows; r++) {
      V e = below_top(factor, vload(p + r * C + c, n), most);
      vstore(p + r * C + c, vmul(e, one), n);
    }
  }
}

static void softmax_back_columns(df_real *dx, const df_real *p, const df_real *mean,
                                 df_real scale, df_int rows, df_int C) {
  V factor = vset1(scale);
  for (df_int c = 0; c < C; c += VL) {
    df_int n = C - c;
    V middle = vload(mean + c, n);
    for (df_int r = 0; r < rows; r++) {
      V d = vsub(vload(dx + r * C + c, n), middle);
      vstore(dx + r * C + c, vmul(vmul(factor, vload(p + r * C + c, n)), d), n);
    }
  }
}
