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
** G^T [A dy . B^T x], with A and G^T below.
**
** Short tiles have F(2, 3) on columns, with the points 0, +-1 and infinity, and F(4, 3)
** on rows: 24 products for 8 outputs. Their factors may be rounded to bf16. Errors of
** normal numbers are then 0.7e-2, where those of 4 x 4 outputs are 1.2e-2, and without
** a transform 0.24e-2. M(x) is x^3 - x here. -M'(0), M'(1), M'(-1) and 1 divide the rows
** of A:
**
**   B^T = 1   0  -1   0      G = 1   0   0     A =  1     0
**         0   1   1   0          1   1   1         1/2   1/2
**         0  -1   1   0          1  -1   1         1/2  -1/2
**         0  -1   0   1          0   0   1          0     1  */
#ifndef df_winograd_lines_h
#define df_winograd_lines_h

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

/* The same for 2 outputs. */
INLINE void from_inputs_2(V *y, const int sy, const V *x, const int sx) {
  y[0] = vsub(x[0], x[2 * sx]);
  sum_and_difference(&y[sy], &y[2 * sy], x[2 * sx], x[sx]);
  y[3 * sy] = vsub(x[3 * sx], x[sx]);
}

INLINE void to_outputs_2(V *y, const int sy, const V *x, const int sx) {
  V half = vset1(0.5f);
  y[0] = vfma(half, vadd(x[sx], x[2 * sx]), x[0]);
  y[sy] = vfma(half, vsub(x[sx], x[2 * sx]), x[3 * sx]);
}

INLINE void from_weights_2(V *y, const int sy, const V *x, const int sx) {
  y[0] = x[0];
  sum_and_difference(&y[sy], &y[2 * sy], vadd(x[0], x[2 * sx]), x[sx]);
  y[3 * sy] = x[2 * sx];
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

INLINE void store_pixel(df_real *y, V v, const df_real *add, bool accumulate, df_int n) {
  if (add) v = vadd(v, vload(add, n));
  if (accumulate) v = vadd(v, vload(y, n));
  vstore(y, v, n);
}

#endif
