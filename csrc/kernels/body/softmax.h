/* Softmax of one row, its gradient, and logsumexp. Attention has its own: attend.h. */
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
