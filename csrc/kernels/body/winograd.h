/* Winograd's tiles of 4 x 4 outputs. The matrices are in winograd_lines.h. */
#include "kernels/body/winograd_lines.h"

/* y (to x to) = F x F^T, with x (from x from) */
INLINE void both_ways(V *y, line *f, const int to, const int from, const V *x) {
  V half[36]; /* to x from */
#pragma GCC unroll 6
  for (int j = 0; j < from; j++) f(half + j, from, x + j, from);
#pragma GCC unroll 6
  for (int i = 0; i < to; i++) f(y + i * to, 1, half + i * from, 1);
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

/* Row `row` of G w, a compile-time constant. */
INLINE void weights_half(V *half, const int row, const df_real *w, df_int tap, df_int n) {
  V weight[9], column[6];
  load_planes(weight, w, tap, 9, n);
#pragma GCC unroll 3
  for (int j = 0; j < 3; j++) {
    from_weights(column, 1, weight + j, 3);
    half[j] = column[row];
  }
}

/* The 6 points of this row of u. */
INLINE void weights_row_at(df_real *u, df_int plane, const int row, const df_real *w,
                           df_int tap, df_int n) {
  V half[3], value[6];
  weights_half(half, row, w, tap, n);
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

/* Short tiles; the rest of them is in winograd_short.h. */
INLINE void short_outputs_at(df_real *y, const df_int *at, const df_real *m, df_int plane,
                             const df_real *bias, const df_real *add, bool accumulate,
                             df_int i, df_int n) {
  V value[24], half[12], pixel[8], offset = bias ? vload(bias + i, n) : vset1(0);
  load_planes(value, m + i, plane, 24, n);
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++) to_outputs_2(half + j, 6, value + j, 6);
  to_outputs(pixel, 1, half, 1);
  to_outputs(pixel + 4, 1, half + 6, 1);
#pragma GCC unroll 8
  for (int q = 0; q < 8; q++)
    if (at[q] >= 0)
      store_pixel(y + at[q] + i, vadd(pixel[q], offset), add ? add + at[q] + i : NULL,
                  accumulate, n);
}

static void short_outputs(df_real *y, const df_int *at, const df_real *m, df_int plane,
                          const df_real *bias, const df_real *add, bool accumulate,
                          df_int n) {
  df_int i = 0;
  for (; n - i >= VL; i += VL)
    short_outputs_at(y, at, m, plane, bias, add, accumulate, i, VL);
  if (i < n)
    short_outputs_at(y, at, m, plane, bias, add, accumulate, i, df_min(n - i, VL - 1));
}
