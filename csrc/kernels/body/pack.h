/* Other number formats, and transposition: what moves numbers without computing. */
#include "kernels/vec.h"

static void round_bf16(df_real *y, const df_real *x, df_int n) {
  map(y, x, n, vround_bf16);
}

/* Four rows by VL columns: interleaved, a column's four numbers lie side by side. */
static void transpose(df_real *y, df_int ldy, const df_real *x, df_int ldx, df_int rows,
                      df_int C) {
  for (df_int c0 = 0; c0 < C; c0 += VL)
    for (df_int r0 = 0; r0 < rows; r0 += 4) {
      df_real part[4 * VL], *to = y + c0 * ldy + r0;
      df_int height = df_min(4, rows - r0), width = df_min(VL, C - c0);
      V v[4];
      for (df_int j = 0; j < 4; j++) {
        const df_real *from = x + (r0 + df_min(j, height - 1)) * ldx + c0;
        v[j] = vload(from, width);
      }
      vstore4(part, v[0], v[1], v[2], v[3]);
      if (height == 4)
        for (df_int c = 0; c < width; c++)
          memcpy(to + c * ldy, part + 4 * c, 4 * sizeof *y);
      else
        for (df_int c = 0; c < width; c++)
          for (df_int r = 0; r < height; r++) to[c * ldy + r] = part[4 * c + r];
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
/* NaN is 0, and what doesn't fit the nearest that does. */
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
