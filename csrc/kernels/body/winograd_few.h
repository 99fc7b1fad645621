/* Products of few of Winograd's tiles. Weights are transformed in registers and
** multiplied at once. Stored, they would pass through the second cache. */
#include "kernels/body/winograd.h"

/* Columns [k, k + VL) at the points of a row. */
INLINE void few_sums(const int tiles, const int row, const df_winograd_few *f, df_int k) {
  V s[6][FEW_TILES], half[3], value[6];
  const df_real *x = f->v, *w = f->w + k;
  for (int j = 0; j < 6; j++)
    for (int i = 0; i < tiles; i++) s[j][i] = vset1(0);
  for (df_int c = 0; c < f->C; c++, x += 6 * tiles, w += PANEL) {
    weights_half(half, row, w, f->tap, VL);
#pragma GCC unroll 6
    for (int j = 0; j < 6; j++) {
      from_weights(value, 1, half, 1); /* but for value[j] the compiler drops them */
      for (int i = 0; i < tiles; i++)
        s[j][i] = vfma(vset1(x[j * tiles + i]), value[j], s[j][i]);
    }
  }
  for (int j = 0; j < 6; j++)
    for (int i = 0; i < tiles; i++) {
      df_real *m = f->m + j * f->output + i * PANEL + k;
      vstore(m, f->add ? vadd(s[j][i], vload(m, VL)) : s[j][i], VL);
    }
}

INLINE void few_columns(const int tiles, const int row, const df_winograd_few *f) {
  for (df_int k = 0; k < PANEL; k += VL) few_sums(tiles, row, f, k);
}

INLINE void few_rows(const int tiles, int row, const df_winograd_few *f) {
  switch (row) {
  case 0: few_columns(tiles, 0, f); return;
  case 1: few_columns(tiles, 1, f); return;
  case 2: few_columns(tiles, 2, f); return;
  case 3: few_columns(tiles, 3, f); return;
  case 4: few_columns(tiles, 4, f); return;
  case 5: few_columns(tiles, 5, f); return;
  }
}

#define FEW_CASE(n)                                                                      \
  case n:                                                                                \
    if (n <= FEW_TILES) few_rows(n < FEW_TILES ? n : FEW_TILES, row, f);                 \
    return

static void winograd_few(const df_winograd_few *f, int row) {
  switch (f->tiles) {
    FEW_CASE(1);
    FEW_CASE(2);
    FEW_CASE(3);
    FEW_CASE(4);
  }
}
