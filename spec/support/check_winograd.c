/* Compares Winograd's transforms of every table with F x F^T in double, with the matrices
** of body/winograd.h. It also compares products down columns with sums. It is a part of
** check_kernels. */
#include "check_winograd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST  40
#define PLANE 53 /* between planes: a little more than MOST */
#define ROOM  (36 * PLANE + 64)
#define RH    0.70710678118654752440 /* the root of 1/2; RT: the root of 2 */
#define RT    1.41421356237309504880

/* B^T (6 x 6), A (6 x 4) and G (6 x 3), row by row. */
static const double BT[36] = { 1, 0,  -2.5, 0,   1, 0, 0, -RT, -2,   RH,   1, 0,
                               0, RT, -2,   -RH, 1, 0, 0, -RH, -0.5, RT,   1, 0,
                               0, RH, -0.5, -RT, 1, 0, 0, 1,   0,    -2.5, 0, 1 };
static const double A[24] = {
  1,       0,       0,       0,          -2 / 3., -2 / 3. * RH,
  -1 / 3., -RH / 3, -2 / 3., RH * 2 / 3, -1 / 3., RH / 3,
  1 / 6.,  RT / 6,  1 / 3.,  RT / 3,     1 / 6.,  -RT / 6,
  1 / 3.,  -RT / 3, 0,       0,          0,       1
};
static const double G[18] = { 1, 0,  0, 1, RH,  0.5, 1, -RH, 0.5,
                              1, RT, 2, 1, -RT, 2,   0, 0,   1 };

/* The same for 2 outputs: 4 x 4, 4 x 2 and 4 x 3. */
static const double BT2[16] = { 1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, -1, 0, 1 };
static const double A2[8] = { 1, 0, 0.5, 0.5, 0.5, -0.5, 0, 1 };
static const double G2[12] = { 1, 0, 0, 1, 1, 1, 1, -1, 1, 0, 0, 1 };

static const df_kernels *table;
static long checks, faults;

static void judge(const char *kernel, df_int n, df_int i, df_real y, double ought) {
  checks++;
  if (fabs((double)y - ought) <= 4e-6 * (fabs(ought) + 4)) return;
  if (faults++ < 20)
    printf("%s: %s n = %td [%td] %.9g, not %.9g\n", table->name, kernel, n, i, (double)y,
           ought);
}

/* A number that was rounded to bf16. */
static void judge_rounded(const char *kernel, df_int n, df_int i, uint16_t y,
                          double ought) {
  float got;
  uint32_t bits = (uint32_t)y << 16;
  memcpy(&got, &bits, sizeof got);
  checks++;
  if (fabs((double)got - ought) <= fabs(ought) / 256 + 4e-6) return;
  if (faults++ < 20)
    printf("%s: %s n = %td [%td] %.9g, not %.9g\n", table->name, kernel, n, i,
           (double)got, ought);
}

static void judge_untouched(const char *kernel, df_int n, df_int i, df_real y) {
  checks++;
  if (isnan(y)) return;
  if (faults++ < 20) printf("%s: %s n = %td writes [%td]\n", table->name, kernel, n, i);
}

static void fill(df_real *x, df_int n, uint32_t sample) {
  df_random key = { 14, DF_STREAM_USER, sample, 0 };
  table->normal(x, 0, n, &key);
}

static void poison(df_real *y, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)NAN;
}

/* Element (i, j) of F (to x from), or of its transpose. */
static double element(const double *f, int to, int from, bool turned, int i, int j) {
  return turned ? f[j * to + i] : f[i * from + j];
}

/* Element (i, j) of F x F^T, with x (from x from) `step` apart. */
static double both_ways(const double *f, int to, int from, bool turned, int i, int j,
                        const df_real *x, df_int step) {
  double sum = 0;
  for (int p = 0; p < from; p++)
    for (int q = 0; q < from; q++)
      sum += element(f, to, from, turned, i, p) * (double)x[(p * from + q) * step]
             * element(f, to, from, turned, j, q);
  return sum;
}

static void compare(const char *kernel, const double *f, int to, int from, bool turned,
                    const df_real *y, const df_real *x, df_int n) {
  for (int p = 0; p < to * to; p++)
    for (df_int i = 0; i < PLANE; i++)
      if (i < n)
        judge(kernel, n, i, y[p * PLANE + i],
              both_ways(f, to, from, turned, p / to, p % to, x + i, PLANE));
      else judge_untouched(kernel, n, i, y[p * PLANE + i]);
}

static void check_transforms(df_int n) {
  static df_real x[ROOM], y[ROOM];
  const df_real *pixel[36];
  fill(x, ROOM, (uint32_t)n);
  for (int q = 0; q < 36; q++) pixel[q] = x + q * PLANE;
  poison(y, ROOM), table->winograd_inputs(y, PLANE, pixel, n);
  compare("winograd_inputs", BT, 6, 6, false, y, x, n);
  poison(y, ROOM), table->winograd_outputs_back(y, PLANE, pixel, n);
  compare("winograd_outputs_back", A, 6, 4, false, y, x, n);
  poison(y, ROOM), table->winograd_weights(y, PLANE, x, PLANE, n);
  compare("winograd_weights", G, 6, 3, false, y, x, n);
  poison(y, ROOM);
  for (int row = 0; row < 6; row++)
    table->winograd_weights_row(y + 6 * row * PLANE, PLANE, row, x, PLANE, n);
  compare("winograd_weights_row", G, 6, 3, false, y, x, n);
  poison(y, ROOM), table->winograd_weights_back(y, PLANE, x, PLANE, n);
  compare("winograd_weights_back", G, 3, 6, true, y, x, n);
  for (int t = 0; t < 9; t++)
    for (df_int i = 0; i < PLANE; i++) y[(27 + t) * PLANE + i] = x[t * PLANE + i];
  for (int p = 0; p < 27; p++) poison(y + p * PLANE, PLANE);
  table->winograd_weights(y, PLANE, y + 27 * PLANE, PLANE, n); /* in place */
  for (int p = 0; p < 36; p++)
    for (df_int i = 0; i < n; i++)
      judge("winograd_weights", n, i, y[p * PLANE + i],
            both_ways(G, 6, 3, false, p / 6, p % 6, x + i, PLANE));
}

/* Every third pixel is absent. */
static void check_outputs(df_int n, bool with_bias, bool with_add, bool accumulate) {
  static df_real m[ROOM], y[ROOM], bias[MOST], add[ROOM];
  df_int at[16];
  fill(m, ROOM, 50), fill(bias, MOST, 51), fill(add, ROOM, 52), poison(y, ROOM);
  for (int q = 0; q < 16; q++) at[q] = q % 3 == 2 ? -1 : (15 - q) * PLANE;
  for (int q = 0; q < 16; q++)
    for (df_int i = 0; accumulate && at[q] >= 0 && i < n; i++)
      y[at[q] + i] = (df_real)0.25;
  table->winograd_outputs(y, at, m, PLANE, with_bias ? bias : NULL, with_add ? add : NULL,
                          accumulate, n);
  for (int q = 0; q < 16; q++)
    for (df_int i = 0; i < PLANE; i++) {
      df_int place = (15 - q) * PLANE + i;
      double ought = both_ways(A, 4, 6, true, q / 4, q % 4, m + i, PLANE);
      if (at[q] < 0 || i >= n) {
        judge_untouched("winograd_outputs", n, i, y[place]);
        continue;
      }
      if (with_bias) ought += (double)bias[i];
      if (with_add) ought += (double)add[place];
      judge("winograd_outputs", n, i, y[place], ought + (accumulate ? 0.25 : 0));
    }
}

/* Three channels of weights. A channel's factors are 6 x tiles numbers. */
static void check_few(int tiles, int row, bool add) {
  static df_real v[3 * 6 * 8], w[27 * DF_PANEL], m[6 * 8 * 2 * DF_PANEL];
  df_int panel = table->panel, tap = 3 * panel, output = tiles * panel + 5;
  fill(v, 3 * 6 * tiles, 55), fill(w, 9 * tap, 56);
  for (df_int i = 0; i < 6 * output; i++) m[i] = add ? (df_real)0.25 : (df_real)NAN;
  const df_winograd_few f = { tiles, 3, v, w, tap, m, output, add };
  table->winograd_few(&f, row);
  for (int j = 0; j < 6; j++)
    for (df_int i = 0; i < tiles * panel; i++) {
      double sum = add ? 0.25 : 0;
      for (int c = 0; c < 3; c++)
        sum += (double)v[c * 6 * tiles + j * tiles + i / panel]
               * both_ways(G, 6, 3, false, row, j, w + c * panel + i % panel, tap);
      judge("winograd_few", tiles, i, m[j * output + i], sum);
    }
}

/* Element (i, j) of F x H^T, with F (4 or 2 rows to 4 or 3 or 2 columns) and H. x has as
** many rows as F has columns, `step` apart. */
static double two_ways(const double *f, int rows, bool f_turned, const double *h,
                       int h_to, int h_from, bool h_turned, int i, int j, int f_to,
                       const df_real *x, df_int step) {
  double sum = 0;
  for (int p = 0; p < rows; p++)
    for (int q = 0; q < h_from; q++)
      sum += element(f, f_to, rows, f_turned, i, p) * (double)x[(p * h_from + q) * step]
             * element(h, h_to, h_from, h_turned, j, q);
  return sum;
}

static void check_short_inputs(df_int n) {
  static df_real x[ROOM];
  static uint16_t v[24 * PLANE];
  const df_real *pixel[24];
  df_int wide = n + 5;
  fill(x, ROOM, 70), memset(v, 0x7f, sizeof v);
  for (int q = 0; q < 24; q++) pixel[q] = x + q * PLANE;
  table->short_inputs(v, PLANE, pixel, n, wide);
  for (int p = 0; p < 24; p++)
    for (df_int i = 0; i < PLANE; i++) {
      double ought = i >= n ? 0
                            : two_ways(BT2, 4, false, BT, 6, 6, false, p / 6, p % 6, 4,
                                       x + i, PLANE);
      if (i < wide) judge_rounded("short_inputs", n, i, v[p * PLANE + i], ought);
      else if (v[p * PLANE + i] != 0x7f7f) judge("short_inputs", n, i, 1, 0);
    }
}

static void check_short_weights(df_int n) {
  static uint16_t w[9 * 2 * 64], u[6 * 2 * 64];
  static df_real x[9 * 2 * 64];
  fill(x, 9 * 2 * n, 71);
  table->to_bf16(w, x, 9 * 2 * n), table->from_bf16(x, w, 9 * 2 * n);
  for (int row = 0; row < 4; row++) {
    table->short_weights(u, 2 * n, row, w, 2 * n, n);
    for (int p = 0; p < 6; p++)
      for (df_int i = 0; i < 2 * n; i++)
        judge_rounded("short_weights", n, i, u[p * 2 * n + i],
                      two_ways(G2, 3, false, G, 6, 3, false, row, p, 4, x + i, 2 * n));
  }
}

static void check_short_outputs(df_int n, bool with_bias, bool with_add,
                                bool accumulate) {
  static df_real m[ROOM], y[ROOM], bias[MOST], add[ROOM];
  df_int at[8];
  fill(m, ROOM, 73), fill(bias, MOST, 74), fill(add, ROOM, 75), poison(y, ROOM);
  for (int q = 0; q < 8; q++) at[q] = q % 3 == 2 ? -1 : (7 - q) * PLANE;
  for (int q = 0; q < 8; q++)
    for (df_int i = 0; accumulate && at[q] >= 0 && i < n; i++)
      y[at[q] + i] = (df_real)0.25;
  table->short_outputs(y, at, m, PLANE, with_bias ? bias : NULL, with_add ? add : NULL,
                       accumulate, n);
  for (int q = 0; q < 8; q++)
    for (df_int i = 0; i < PLANE; i++) {
      df_int place = (7 - q) * PLANE + i;
      double ought = two_ways(A2, 4, true, A, 4, 6, true, q / 4, q % 4, 2, m + i, PLANE);
      if (at[q] < 0 || i >= n) {
        judge_untouched("short_outputs", n, i, y[place]);
        continue;
      }
      if (with_bias) ought += (double)bias[i];
      if (with_add) ought += (double)add[place];
      judge("short_outputs", n, i, y[place], ought + (accumulate ? 0.25 : 0));
    }
}

/* Every number of x is in its place, so products of strips are those of x. */
static void check_strips(df_int m, df_int C) {
  static df_real x[ROOM], y[2 * ROOM];
  df_int ldx = m + 2, h = table->height;
  fill(x, C * ldx, 62);
  table->copy_strips(y, x, ldx, C, m);
  for (df_int c = 0; c < C; c++)
    for (df_int i = 0; i < m; i++)
      judge("copy_strips", m, i, y[i / h * h * C + c * h + i % h],
            (double)x[c * ldx + i]);
}

static void check_columns(df_int m, df_int C, df_int K, bool accumulate) {
  static df_real x[ROOM], w[ROOM], packed[4 * ROOM], y[ROOM];
  df_int ldx = m + 2, ldy = K + 3;
  fill(x, C * ldx, 60), fill(w, C * K, 61), poison(y, ROOM);
  for (df_int i = 0; accumulate && i < m * K; i++) y[i / K * ldy + i % K] = (df_real)0.25;
  table->pack_weights(packed, w, 1, 0, C, K, K, 1);
  table->rows_turned(y, ldy, x, ldx, packed, accumulate, m, C, K);
  for (df_int i = 0; i < m * ldy; i++) {
    double sum = accumulate ? 0.25 : 0;
    for (df_int c = 0; c < C && i % ldy < K; c++)
      sum += (double)x[c * ldx + i / ldy] * (double)w[c * K + i % ldy];
    if (i % ldy < K) judge("rows_turned", m, i, y[i], sum);
    else judge_untouched("rows_turned", m, i, y[i]);
  }
}

long df_check_winograd(const df_kernels *kernels) {
  long before = faults;
  table = kernels, checks = 0;
  for (df_int n = 1; n <= MOST; n += n < 20 ? 1 : 7) {
    check_transforms(n);
    check_short_inputs(n);
    for (int i = 0; i < 8; i++) {
      check_outputs(n, i & 1, i & 2, i & 4);
      check_short_outputs(n, i & 1, i & 2, i & 4);
    }
  }
  for (df_int n = DF_PANEL; n <= 2 * DF_PANEL; n += DF_PANEL) check_short_weights(n);
  for (int tiles = 1; tiles <= table->few_tiles; tiles++)
    for (int i = 0; i < 12; i++) check_few(tiles, i / 2, i & 1);
  for (df_int m = 1; m < 32; m += 5) {
    check_strips(m, 34 - m);
    for (df_int K = 1; K < 50; K += 12) check_columns(m, K % 7 + m, K, m % 2);
  }
  printf("%s: %ld checks, %ld faults\n", table->name, checks, faults - before);
  return faults - before;
}
