/* Winograd's short tiles, F(2 x 4, 3 x 3), whose factors are bf16. The matrices are in
** winograd_lines.h. */
#include "kernels/body/winograd_lines.h"

/* Channels from i on, of which n are left. */
INLINE void short_inputs_at(uint16_t *v, df_int plane, const df_real *const *x, df_int i,
                            df_int n) {
  V pixel[24], half[24], value[24];
  gather(pixel, x, 24, i, n);
#pragma GCC unroll 6
  for (int j = 0; j < 6; j++) from_inputs_2(half + j, 6, pixel + j, 6);
#pragma GCC unroll 4
  for (int r = 0; r < 4; r++) from_inputs(value + r * 6, 1, half + r * 6, 1);
#pragma GCC unroll 24
  for (int p = 0; p < 24; p++) vstore_bf16(v + p * plane + i, value[p], n);
}

static void short_inputs(uint16_t *v, df_int plane, const df_real *const *x, df_int n,
                         df_int wide) {
  df_int i = 0;
  for (; n - i >= VL; i += VL) short_inputs_at(v, plane, x, i, VL);
  if (i < n) short_inputs_at(v, plane, x, i, df_min(n - i, VL - 1));
  for (int p = 0; wide > n && p < 24; p++)
    memset(v + p * plane + n, 0, (size_t)(wide - n) * sizeof *v);
}

/* The 6 points of a row of G w G^T, a compile-time constant. */
INLINE void short_row_of(V value[6], const int row, const V *w) {
  V column[4], half[3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; j++) {
    from_weights_2(column, 1, w + j, 3);
    half[j] = column[row];
  }
  from_weights(value, 1, half, 1);
}

INLINE void short_weights_of(uint16_t *u, df_int plane, const int row, const uint16_t *w,
                             df_int tap, df_int n) {
  for (df_int i = 0; i < 2 * n; i += 2 * VL) {
    V low[9], high[9], even[6], odd[6];
#pragma GCC unroll 9
    for (int t = 0; t < 9; t++) {
      U pair = uload((const uint32_t *)(w + t * tap + i));
      low[t] = vlower(pair), high[t] = vupper(pair);
    }
    short_row_of(even, row, low);
    short_row_of(odd, row, high);
#pragma GCC unroll 6
    for (int p = 0; p < 6; p++) ustore(u + p * plane + i, upair(even[p], odd[p]));
  }
}

static void short_weights(uint16_t *u, df_int plane, int row, const uint16_t *w,
                          df_int tap, df_int n) {
  switch (row) {
  case 0: short_weights_of(u, plane, 0, w, tap, n); return;
  case 1: short_weights_of(u, plane, 1, w, tap, n); return;
  case 2: short_weights_of(u, plane, 2, w, tap, n); return;
  case 3: short_weights_of(u, plane, 3, w, tap, n); return;
  }
}
