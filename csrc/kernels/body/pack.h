/* Conversion between number formats, and transposition. */
#include "kernels/vec.h"

static void round_bf16(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, vround_bf16);
}

#define BLOCK_ROWS 16 /* rows of x transposed at a time: a cache line of y */

/* Transposes up to BLOCK_ROWS by VL. Rows are interleaved in groups of four, so four
** numbers of a column become adjacent. A line of y is then written from four such
** groups. */
INLINE void transpose_block(df_real *y, df_int ldy, const df_real *x, df_int ldx,
                            df_int rows, df_int C) {
  df_real part[BLOCK_ROWS / 4][4 * VL];
  for (df_int r = 0; r < rows; r += 4) {
    V v[4];
    for (df_int j = 0; j < 4; j++) v[j] = vload(x + df_min(r + j, rows - 1) * ldx, C);
    vstore4(part[r / 4], v[0], v[1], v[2], v[3]);
  }
  for (df_int c = 0; c < C; c++, y += ldy) {
    df_int r = 0;
    for (; r + 4 <= rows; r += 4) memcpy(y + r, part[r / 4] + 4 * c, 4 * sizeof *y);
    for (; r < rows; r++) y[r] = part[r / 4][4 * c + r % 4];
  }
}

/* Handles 16 rows at a time, with all their columns, so x is read in memory order. */
static void transpose(df_real *y, df_int ldy, const df_real *x, df_int ldx, df_int rows,
                      df_int C) {
  for (df_int r = 0; r < rows; r += BLOCK_ROWS)
    for (df_int c = 0; c < C; c += VL) {
      df_int m = df_min(BLOCK_ROWS, rows - r), n = df_min(VL, C - c);
      df_real *to = y + c * ldy + r;
      const df_real *from = x + r * ldx + c;
      if (m == BLOCK_ROWS && n == VL) transpose_block(to, ldy, from, ldx, BLOCK_ROWS, VL);
      else transpose_block(to, ldy, from, ldx, m, n);
    }
}

static void from_f32(df_real *y, const float *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)x[i];
}
static void to_f32(float *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (float)x[i];
}

static void from_f64(df_real *y, const double *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)x[i];
}
static void to_f64(double *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (double)x[i];
}

static void from_f16(df_real *y, const uint16_t *x, df_int n) {
  for (df_int i = 0; i < n; i += VL) vstore(y + i, vload_f16(x + i, n - i), n - i);
}
static void to_f16(uint16_t *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i += VL) vstore_f16(y + i, vload(x + i, n - i), n - i);
}

static void from_bf16(df_real *y, const uint16_t *x, df_int n) {
  for (df_int i = 0; i < n; i += VL) vstore(y + i, vload_bf16(x + i, n - i), n - i);
}
static void to_bf16(uint16_t *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i += VL) vstore_bf16(y + i, vload(x + i, n - i), n - i);
}

static void from_u8(df_real *y, const uint8_t *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)x[i];
}
static void to_u8(uint8_t *y, const df_real *x, df_int n) {
  for (df_int i = 0; i < n; i++) {
    df_real v = x[i] > 0 ? x[i] : 0; /* NaN is 0 */
    y[i] = (uint8_t)rint(v < 255 ? v : 255);
  }
}

static void from_i64(df_real *y, const int64_t *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)x[i];
}
/* NaN becomes 0. Values out of range become INT64_MIN or INT64_MAX. */
static void to_i64(int64_t *y, const df_real *x, df_int n) {
  const df_real end = (df_real)9223372036854775808.0;
  for (df_int i = 0; i < n; i++)
    y[i] = x[i] >= end    ? INT64_MAX
           : x[i] < -end  ? INT64_MIN
           : x[i] == x[i] ? (int64_t)x[i]
                          : 0;
}

static void image_from_u8(df_real *y, const uint8_t *x, df_int n) {
  for (df_int i = 0; i < n; i++) y[i] = (df_real)x[i] / (df_real)127.5 - 1;
}
