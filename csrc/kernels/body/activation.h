/* Activations and their derivatives. Arguments are clamped to +-1000 if the formula would
** otherwise give 0 * inf. All functions reach their limits long before that. */
#include "kernels/vec.h"

static inline V within(V x, df_real bound) { /* NaN stays */
  return vmin(vset1(bound), vmax(vset1(-bound), x));
}

/* This form has no cancellation for either sign of x. */
static inline V sigmoid_of(V x) {
  V e = vexp_near(vmax(vset1(-104), vneg(vabs(x))));
  V large = vdiv(vset1(1), vadd(vset1(1), e));
  return vselect(vlt(x, vset1(0)), vmul(e, large), large);
}
/* The plain formula is a third faster than x sigmoid(x). Below x = -88 e^-x overflows in
** float, so results of magnitude 1e-36 become 0. */
static inline V silu_of(V x) {
  x = vmax(vset1(-104), x);
  V e = vexp_near(vneg(vmin(vset1(104), x)));
  return vdiv(x, vadd(vset1(1), e));
}
static inline V relu_of(V x) { return vmax(vset1(0), x); }
static inline V gelu_of(V x) { /* x Phi(x) = x erfc(-x / sqrt 2) / 2 */
  x = vmax(vset1(-1000), x);
  V tail = verfc(vmul(vset1((df_real)-0.70710678118654752440), x));
  return vmul(vmul(vset1((df_real)0.5), x), tail);
}

#define TANH_RATE 1.59576912160573071176 /* 2 sqrt(2 / pi) */
#define TANH_CUBE 0.044715
/* x (1 + tanh(u)) / 2 = x / (1 + e^-2u), 2 u = TANH_RATE (x + TANH_CUBE x^3). In float it
** is 0 below -10.6. */
static inline V gelu_tanh_of(V x) {
  x = vmax(vset1((df_real)-10.6), x);
  V cube = vfma(vmul(x, x), vset1((df_real)(TANH_RATE * TANH_CUBE)),
                vset1((df_real)TANH_RATE));
  V e = vexp_near(vneg(vmin(vset1(104), vmul(x, cube))));
  return vdiv(x, vadd(vset1(1), e));
}
#define QUICK_RATE 1.702
static inline V quick_gelu_of(V x) {
  x = vmax(vset1((df_real)(-104 / QUICK_RATE)), x);
  V e = vexp_near(vneg(vmin(vset1(104), vmul(vset1((df_real)QUICK_RATE), x))));
  return vdiv(x, vadd(vset1(1), e));
}

/* x tanh(ln(1 + e^x)) = x up / down. With n = e^-|x| no term overflows. */
static inline V mish_share(V x, V n, V *down) {
  M below = vlt(x, vset1(0));
  V two = vset1(2), left = vmul(n, vadd(n, two)), right = vfma(two, n, vset1(1));
  *down = vselect(below, vadd(left, two), vfma(vmul(two, n), n, right));
  return vselect(below, left, right);
}
static inline V mish_of(V x) {
  x = vmax(vset1(-104), x);
  V down, up = mish_share(x, vexp_near(vneg(vmin(vset1(104), vabs(x)))), &down);
  return vmul(x, vdiv(up, down));
}

static inline V sigmoid_slope(V dy, V y) { return vmul(dy, vmul(y, vsub(vset1(1), y))); }
static inline V silu_slope(V dy, V x) { /* s (1 + x (1 - s)), 1 - s = e^-x s */
  x = within(x, 80);
  V e = vexp_near(vneg(x)), s = vdiv(vset1(1), vadd(vset1(1), e));
  return vmul(dy, vmul(s, vfma(x, vmul(e, s), vset1(1))));
}
static inline V relu_slope(V dy, V y) { return vselect(vlt(vset1(0), y), dy, vset1(0)); }
static inline V tanh_slope(V dy, V y) {
  return vmul(dy, vmul(vsub(vset1(1), y), vadd(vset1(1), y)));
}
static inline V gelu_slope(V dy, V x) { /* Phi(x) + x phi(x) */
  V half = vset1((df_real)0.5);
  x = within(x, 1000);
  V area = vmul(half, verfc(vmul(vset1((df_real)-0.70710678118654752440), x)));
  V bell =
      vmul(vset1((df_real)0.39894228040143267794), vexp(vneg(vmul(half, vmul(x, x)))));
  return vmul(dy, vfma(x, bell, area));
}

/* s (1 + x v' (1 - s)), s = 1 / (1 + e^-v), 1 - s = e^-v s */
static inline V gated_slope(V dy, V x, V v, V slope) {
  V e = vexp_near(vneg(v)), s = vdiv(vset1(1), vadd(vset1(1), e));
  return vmul(dy, vmul(s, vfma(vmul(x, slope), vmul(e, s), vset1(1))));
}
static inline V gelu_tanh_slope(V dy, V x) {
  x = within(x, (df_real)9.6);
  V square = vmul(x, x), rate = vset1((df_real)TANH_RATE);
  V v = vmul(x, vfma(square, vset1((df_real)(TANH_RATE * TANH_CUBE)), rate));
  V slope = vfma(square, vset1((df_real)(3 * TANH_RATE * TANH_CUBE)), rate);
  return gated_slope(dy, x, v, slope);
}
static inline V quick_gelu_slope(V dy, V x) {
  V rate = vset1((df_real)QUICK_RATE);
  x = within(x, (df_real)(80 / QUICK_RATE));
  return gated_slope(dy, x, vmul(rate, x), rate);
}

/* t + x (1 - t^2) s with t = tanh(ln(1 + e^x)), s = sigmoid(x) */
static inline V mish_slope(V dy, V x) {
  x = within(x, 100);
  V n = vexp_near(vneg(vabs(x))), down, up = mish_share(x, n, &down);
  V rise = vmul(vmul(vset1(4), n), vadd(n, vset1(1)));
  rise = vselect(vlt(x, vset1(0)), rise, vmul(rise, n));
  return vmul(dy, vadd(vdiv(up, down), vdiv(vmul(x, rise), vmul(down, down))));
}

static void sigmoid(df_real *y, const df_real *x, df_int n) { map(y, x, n, sigmoid_of); }
static void sigmoid_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                         df_int n) {
  map_back(dx, beta, dy, y, n, sigmoid_slope);
}

static void silu(df_real *y, const df_real *x, df_int n) { map(y, x, n, silu_of); }
static void silu_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                      df_int n) {
  map_back(dx, beta, dy, x, n, silu_slope);
}

static void relu(df_real *y, const df_real *x, df_int n) { map(y, x, n, relu_of); }
static void relu_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                      df_int n) {
  map_back(dx, beta, dy, y, n, relu_slope);
}

static void gelu(df_real *y, const df_real *x, df_int n) { map(y, x, n, gelu_of); }
static void gelu_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                      df_int n) {
  map_back(dx, beta, dy, x, n, gelu_slope);
}

static void gelu_tanh(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, gelu_tanh_of);
}
static void gelu_tanh_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                           df_int n) {
  map_back(dx, beta, dy, x, n, gelu_tanh_slope);
}

static void quick_gelu(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, quick_gelu_of);
}
static void quick_gelu_back(df_real *dx, df_real beta, const df_real *dy,
                            const df_real *x, df_int n) {
  map_back(dx, beta, dy, x, n, quick_gelu_slope);
}

static void mish(df_real *y, const df_real *x, df_int n) { map(y, x, n, mish_of); }
static void mish_back(df_real *dx, df_real beta, const df_real *dy, const df_real *x,
                      df_int n) {
  map_back(dx, beta, dy, x, n, mish_slope);
}

static void hyperbolic(df_real *y, const df_real *x, df_int n) { map(y, x, n, vtanh); }
static void tanh_back(df_real *dx, df_real beta, const df_real *dy, const df_real *y,
                      df_int n) {
  map_back(dx, beta, dy, y, n, tanh_slope);
}
