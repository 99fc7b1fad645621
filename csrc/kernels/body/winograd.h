/* Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin & Gray 2016). It computes 16
** outputs of a 3 x 3 kernel from 36 products of transformed inputs and weights, instead
** of 144.
**
** In one dimension, two polynomials u and g with 4 and 3 coefficients have a product s
** with 6 coefficients. s is determined by its values at 6 points, and each value is u's
** times g's. Let V(n) be the matrix that maps n coefficients to values at the points. Its
** rows are 1, p, p^2 ...; for the point infinity the row selects the leading coefficient.
** Then
**   s = V(6)^-1 [V(4) u . V(3) g]
** Convolution with g is linear in u. Its transpose is the operation of a layer, which
** takes 6 inputs d to 4 outputs y:
**   y = V(4)^T [V(3) g . V(6)^-T d] = A^T [G g . B^T d]
** The points are 0, +-a, +-b and infinity, with a = 1/sqrt 2 and b = sqrt 2. Errors are
** half of those with 0, +-1, +-2, since the powers stay near 1. With a b = 1, there are
** few constants. Row i of V(6)^-T holds the coefficients of M(x) / (x - p_i), divided by
** M'(p_i), with M(x) = x (x^2 - 1/2) (x^2 - 2) = x^5 - 5/2 x^3 + x. The row for infinity
** is M itself. M'(p_i) is 1, -3/2, -3/2, 6, 6, 1. These divide the rows of A instead of
** those of B^T. There they cost nothing, and G, which may run in each product, is short:
**
**   B^T = 1   0  -5/2   0   1   0    G = 1  0   0    A =  1          0   0   0
**         0  -b  -2     a   1   0        1  a  1/2       -2/3 times (1   a  1/2  a/2)
**         0   b  -2    -a   1   0        1 -a  1/2       -2/3 times (1  -a  1/2 -a/2)
**         0  -a  -1/2   b   1   0        1  b   2         1/6 times (1   b   2   2b)
**         0   a  -1/2  -b   1   0        1 -b   2         1/6 times (1  -b   2  -2b)
**         0   1   0  -5/2   0   1        0  0   1         0          0   0   1
**
** In two dimensions each matrix is applied to columns, then to rows. Gradients use the
** transposes. The gradient of x is another convolution. The gradient of the weights is
** G^T [A dy . B^T x], with A and G^T below. */
#include "kernels/vec.h"

#define HALF_ROOT ((df_real)0.70710678118654752440) /* a; b = 2 a */
#define AT_A      ((df_real)(-2.0 / 3))             /* 1 / M' at a, -a */
#define AT_B      ((df_real)(1.0 / 6))              /* and at b, -b */

/* Maps a vector x to a vector y; their elements are sx and sy apart. */
typedef void line(V *y, const int sy, const V *x, const int sx);

/* c[0] a[0] + c[1] a[1] */
INLINE V two(df_real c0, V a0, df_real c1, V a1) {
  return vfma(vset1(c0), a0, vmul(vset1(c1), a1));
}

INLINE void sum_and_difference(V *plus, V *minus, V even, V odd) {
  *plus = vadd(even, odd), *minus = vsub(even, odd);
}

/* B^T */
INLINE void from_inputs(V *y, const int sy, const V *x, const int sx) {
  V x1 = x[sx], x2 = x[2 * sx], x3 = x[3 * sx], x4 = x[4 * sx];
  y[0] = vadd(vfma(vset1(-2.5f), x2, x[0]), x4);
  sum_and_difference(&y[sy], &y[2 * sy], vfma(vset1(-2), x2, x4),
                     two(HALF_ROOT, x3, -2 * HALF_ROOT, x1));
  sum_and_difference(&y[3 * sy], &y[4 * sy], vfma(vset1(-0.5f), x2, x4),
                     two(2 * HALF_ROOT, x3, -HALF_ROOT, x1));
  y[5 * sy] = vadd(vfma(vset1(-2.5f), x3, x1), x[5 * sx]);
}

/* A^T */
INLINE void to_outputs(V *y, const int sy, const V *x, const int sx) {
  V even1 = vadd(x[sx], x[2 * sx]), odd1 = vsub(x[sx], x[2 * sx]);
  V even2 = vadd(x[3 * sx], x[4 * sx]), odd2 = vsub(x[3 * sx], x[4 * sx]);
  y[0] = vfma(vset1(AT_B), even2, vfma(vset1(AT_A), even1, x[0]));
  y[sy] = two(AT_A * HALF_ROOT, odd1, AT_B * 2 * HALF_ROOT, odd2);
  y[2 * sy] = two(AT_A / 2, even1, AT_B * 2, even2);
  y[3 * sy] =
      vadd(two(AT_A * HALF_ROOT / 2, odd1, AT_B * 4 * HALF_ROOT, odd2), x[5 * sx]);
}

/* G */
INLINE void from_weights(V *y, const int sy, const V *x, const int sx) {
  V x0 = x[0], x1 = x[sx], x2 = x[2 * sx];
  V near = vfma(vset1(0.5f), x2, x0), far = vfma(vset1(2), x2, x0);
  y[0] = x0;
  y[sy] = vfma(vset1(HALF_ROOT), x1, near);
  y[2 * sy] = vfma(vset1(-HALF_ROOT), x1, near);
  y[3 * sy] = vfma(vset1(2 * HALF_ROOT), x1, far);
  y[4 * sy] = vfma(vset1(-2 * HALF_ROOT), x1, far);
  y[5 * sy] = x2;
}

/* A */
INLINE void from_outputs(V *y, const int sy, const V *x, const int sx) {
  V x0 = x[0], x1 = x[sx], x2 = x[2 * sx], x3 = x[3 * sx];
  y[0] = x0;
  sum_and_difference(&y[sy], &y[2 * sy], two(AT_A / 2, x2, AT_A, x0),
                     two(AT_A * HALF_ROOT, x1, AT_A * HALF_ROOT / 2, x3));
  sum_and_difference(&y[3 * sy], &y[4 * sy], two(AT_B * 2, x2, AT_B, x0),
                     two(AT_B * 2 * HALF_ROOT, x1, AT_B * 4 * HALF_ROOT, x3));
  y[5 * sy] = x3;
}

/* G^T */
INLINE void to_weights(V *y, const int sy, const V *x, const int sx) {
  V even1 = vadd(x[sx], x[2 * sx]), odd1 = vsub(x[sx], x[2 * sx]);
  V even2 = vadd(x[3 * sx], x[4 * sx]), odd2 = vsub(x[3 * sx], x[4 * sx]);
  y[0] = vadd(x[0], vadd(even1, even2));
  y[sy] = two(HALF_ROOT, odd1, 2 * HALF_ROOT, odd2);
  y[2 * sy] = vadd(x[5 * sx], two(0.5f, even1, 2, even2));
}

/* y (to x to) = F x F^T, with x (from x from) */
INLINE void both_ways(V *y, line *f, const int to, const int from, const V *x) {
  V half[36]; /* to x from */
#pragma GCC unroll 6
  for (int j = 0; j < from; j++) f(half + j, from, x + j, from);
#pragma GCC unroll 6
  for (int i = 0; i < to; i++) f(y + i * to, 1, half + i * from, 1);
}

INLINE void gather(V *v, const df_real *const *x, const int count, df_int i, df_int n) {
#pragma GCC unroll 36
  for (int q = 0; q < count; q++) v[q] = vload(x[q] + i, n);
}

INLINE void load_planes(V *v, const df_real *x, df_int plane, const int count, df_int n) {
#pragma GCC unroll 36
  for (int p = 0; p < count; p++) v[p] = vload(x + p * plane, n);
}

INLINE void store_planes(df_real *y, df_int plane, const V *v, const int count,
                         df_int n) {
#pragma GCC unroll 36
  for (int p = 0; p < count; p++) vstore(y + p * plane, v[p], n);
}

/* Each function has a form for n <= VL channels from i on and a loop for any
** n. Full vectors are separate, or the compiler would test n at every load. */
INLINE void inputs_at(df_real *v, df_int plane, const df_real *const *x, df_int i,
                      df_int n) {
  V pixel[36], value[36];
  gather(pixel, x, 36, i, n);
  both_ways(value, from_inputs, 6, 6, pixel);
  store_planes(v + i, plane, value, 36, n);
}

static void winograd_inputs(df_real *v, df_int plane, const df_real *const *x, df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) inputs_at(v, plane, x, i, VL);
  if (i < n) inputs_at(v, plane, x, i, df_min(n - i, VL - 1));
}

INLINE void weights_at(df_real *u, df_int plane, const df_real *w, df_int tap, df_int n) {
  V weight[9], value[36];
  load_planes(weight, w, tap, 9, n);
  both_ways(value, from_weights, 6, 3, weight);
  store_planes(u, plane, value, 36, n);
}

static void winograd_weights(df_real *u, df_int plane, const df_real *w, df_int tap,
                             df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) weights_at(u + i, plane, w + i, tap, VL);
  if (i < n) weights_at(u + i, plane, w + i, tap, df_min(n - i, VL - 1));
}

/* The 6 points of a row of u, a compile-time constant. */
INLINE void weights_row_at(df_real *u, df_int plane, const int row, const df_real *w,
                           df_int tap, df_int n) {
  V weight[9], column[6], half[3], value[6];
  load_planes(weight, w, tap, 9, n);
#pragma GCC unroll 3
  for (int j = 0; j < 3; j++) {
    from_weights(column, 1, weight + j, 3);
    half[j] = column[row];
  }
  from_weights(value, 1, half, 1);
  store_planes(u, plane, value, 6, n);
}

INLINE void weights_row(df_real *u, df_int plane, const int row, const df_real *w,
                        df_int tap, df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) weights_row_at(u + i, plane, row, w + i, tap, VL);
  if (i < n) weights_row_at(u + i, plane, row, w + i, tap, df_min(n - i, VL - 1));
}

static void winograd_weights_row(df_real *u, df_int plane, int row, const df_real *w,
                                 df_int tap, df_int n) {
  switch (row) {
  case 0: weights_row(u, plane, 0, w, tap, n); return;
  case 1: weights_row(u, plane, 1, w, tap, n); return;
  case 2: weights_row(u, plane, 2, w, tap, n); return;
  case 3: weights_row(u, plane, 3, w, tap, n); return;
  case 4: weights_row(u, plane, 4, w, tap, n); return;
  case 5: weights_row(u, plane, 5, w, tap, n); return;
  }
}

INLINE void store_pixel(df_real *y, V v, const df_real *add, bool accumulate, df_int n) {
  if (add) v = vadd(v, vload(add, n));
  if (accumulate) v = vadd(v, vload(y, n));
  vstore(y, v, n);
}

INLINE void outputs_at(df_real *y, const df_int *at, const df_real *m, df_int plane,
                       const df_real *bias, const df_real *add, bool accumulate, df_int i,
                       df_int n) {
  V value[36], pixel[16], offset = bias ? vload(bias + i, n) : vset1(0);
  load_planes(value, m + i, plane, 36, n);
  both_ways(pixel, to_outputs, 4, 6, value);
#pragma GCC unroll 16
  for (int q = 0; q < 16; q++)
    if (at[q] >= 0)
      store_pixel(y + at[q] + i, vadd(pixel[q], offset), add ? add + at[q] + i : NULL,
                  accumulate, n);
}

static void winograd_outputs(df_real *y, const df_int *at, const df_real *m, df_int plane,
                             const df_real *bias, const df_real *add, bool accumulate,
                             df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) outputs_at(y, at, m, plane, bias, add, accumulate, i, VL);
  if (i < n) outputs_at(y, at, m, plane, bias, add, accumulate, i, df_min(n - i, VL - 1));
}

INLINE void outputs_back_at(df_real *z, df_int plane, const df_real *const *dy, df_int i,
                            df_int n) {
  V pixel[16], value[36];
  gather(pixel, dy, 16, i, n);
  both_ways(value, from_outputs, 6, 4, pixel);
  store_planes(z + i, plane, value, 36, n);
}

static void winograd_outputs_back(df_real *z, df_int plane, const df_real *const *dy,
                                  df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) outputs_back_at(z, plane, dy, i, VL);
  if (i < n) outputs_back_at(z, plane, dy, i, df_min(n - i, VL - 1));
}

INLINE void weights_back_at(df_real *dw, df_int tap, const df_real *s, df_int plane,
                            df_int n) {
  V value[36], weight[9];
  load_planes(value, s, plane, 36, n);
  both_ways(weight, to_weights, 3, 6, value);
  store_planes(dw, tap, weight, 9, n);
}

static void winograd_weights_back(df_real *dw, df_int tap, const df_real *s, df_int plane,
                                  df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) weights_back_at(dw + i, tap, s + i, plane, VL);
  if (i < n) weights_back_at(dw + i, tap, s + i, plane, df_min(n - i, VL - 1));
}
