/* Conversion of reals to planes of bf16, in the layouts that pairs.h reads: rows,
** transposed rows, and panels of pairs. */
#include "kernels/vec.h"

/* The rounding error of bf16. */
INLINE V rest_of(V v) { return vsub(v, vround_bf16(v)); }

INLINE void two_planes(uint16_t *y, df_int low, V v, V w) {
  vstore2_bf16(y, v, w);
  if (low) vstore2_bf16(y + low, rest_of(v), rest_of(w));
}

static void row_planes(uint16_t *y, df_int low, const df_real *x, df_int C, df_int wide) {
  df_int c = 0;
  for (; c + 2 * VL <= C; c += 2 * VL)
    two_planes(y + c, low, vload(x + c, VL), vload(x + c + VL, VL));
  for (; c < C; c += VL) {
    V v = vload(x + c, C - c);
    vstore_bf16(y + c, v, C - c);
    if (low) vstore_bf16(y + low + c, rest_of(v), C - c);
  }
  if (C == wide) return;
  memset(y + C, 0, (size_t)(wide - C) * sizeof *y);
  if (low) memset(y + low + C, 0, (size_t)(wide - C) * sizeof *y);
}

static void planes(uint16_t *y, df_int ldy, df_int low, const df_real *x, df_int ldx,
                   df_int rows, df_int C, df_int wide) {
  for (df_int r = 0; r < rows; r++) row_planes(y + r * ldy, low, x + r * ldx, C, wide);
}

/* -- transposed ---------------------------------------------------------------------- */

/* Writes n words of each of four rows: y[i ldy ...] gets word i of the four. `count` is
** the number of 16-bit halves to write, at most 8. */
INLINE void scatter_words(uint16_t *y, df_int ldy, const U w[4], df_int n, df_int count) {
  uint32_t part[4 * VL];
  ustore4(part, w[0], w[1], w[2], w[3]);
  if (count == 8) {
    for (df_int i = 0; i < n; i++) memcpy(y + i * ldy, part + 4 * i, 16);
    return;
  }
  for (df_int i = 0; i < n; i++)
    for (df_int j = 0; j < count; j++)
      y[i * ldy + j] = (uint16_t)(part[4 * i + j / 2] >> j % 2 * 16);
}

/* Transposes eight rows. Two rows form words of pairs, and the words are transposed. */
INLINE void turn_eight(uint16_t *y, df_int ldy, df_int low, const df_real *x, df_int ldx,
                       df_int rows, df_int n) {
  U high[4], rest[4];
  for (df_int j = 0; j < 4; j++) {
    const df_real *a = x + df_min(2 * j, rows - 1) * ldx;
    const df_real *b = x + df_min(2 * j + 1, rows - 1) * ldx;
    V v = vload(a, n), w = vload(b, n);
    high[j] = upair(v, w);
    rest[j] = low ? upair(rest_of(v), rest_of(w)) : high[j];
  }
  scatter_words(y, ldy, high, n, rows);
  if (low) scatter_words(y + low, ldy, rest, n, rows);
}

#define TURN 32 /* rows transposed at a time, for whole cache lines of y */

static void turn_planes(uint16_t *y, df_int ldy, df_int low, const df_real *x, df_int ldx,
                        df_int rows, df_int C) {
  for (df_int from = 0; from < rows; from += TURN)
    for (df_int c = 0; c < C; c += VL)
      for (df_int r = from; r < df_min(from + TURN, rows); r += 8)
        turn_eight(y + c * ldy + r, ldy, low, x + r * ldx + c, ldx, df_min(8, rows - r),
                   df_min(VL, C - c));
}

/* -- panels -------------------------------------------------------------------------- */

/* Packs n columns of one pair of rows as words of a panel; a or b NULL means zeros. */
INLINE void pair_words(uint16_t *w, df_int low, const df_real *a, const df_real *b,
                       df_int n) {
  for (df_int k = 0; k < DF_PANEL; k += VL) {
    df_int left = df_max(0, n - k);
    V v = a ? vload(a + k, left) : vset1(0), u = b ? vload(b + k, left) : vset1(0);
    ustore(w + 2 * k, upair(v, u));
    if (low) ustore(w + low + 2 * k, upair(rest_of(v), rest_of(u)));
  }
}

static void pair_rows(uint16_t *w, df_int panel, df_int low, const df_real *x, df_int ldx,
                      df_int rows, df_int C, df_int tall) {
  for (df_int r = 0; r < tall; r += 2)
    for (df_int c = 0; c < C; c += DF_PANEL) {
      const df_real *a = r < rows ? x + r * ldx + c : NULL;
      const df_real *b = r + 1 < rows ? x + (r + 1) * ldx + c : NULL;
      pair_words(w + c / DF_PANEL * panel + r * DF_PANEL, low, a, b, C - c);
    }
}

#define COLUMN   64 /* reals of a column per pass, a multiple of two vectors */
#define TOGETHER 16 /* columns per pass: a line of words */

/* Transposes n words of TOGETHER columns of bf16 into a panel, line by line. */
INLINE void turn_stretch(uint16_t *w, uint16_t half[TOGETHER][COLUMN], df_int n) {
  for (df_int r = 0; r < n; r += VL) {
    uint32_t part[TOGETHER / 4][4 * VL];
    for (df_int c = 0; c < TOGETHER; c += 4) {
      U word[4];
      for (df_int j = 0; j < 4; j++)
        word[j] = uload((const uint32_t *)(half[c + j] + 2 * r));
      ustore4(part[c / 4], word[0], word[1], word[2], word[3]);
    }
    for (df_int i = 0; i < df_min(VL, n - r); i++)
      for (df_int c = 0; c < TOGETHER; c += 4)
        memcpy(w + (r + i) * 2 * DF_PANEL + 2 * c, part[c / 4] + 4 * i, 16);
  }
}

static void pair_columns(uint16_t *w, df_int panel, df_int low, const df_real *x,
                         df_int ldx, df_int rows, df_int C, df_int tall) {
  df_int all = df_ceil_div(C, DF_PANEL) * DF_PANEL;
  for (df_int c = 0; c < all; c += TOGETHER)
    for (df_int r = 0; r < tall; r += COLUMN) {
      _Alignas(DF_ALIGN) uint16_t both[2][TOGETHER][COLUMN];
      df_int n = df_max(0, df_min(COLUMN, rows - r)), far = both[1][0] - both[0][0];
      df_int count = df_min(COLUMN, tall - r) / 2;
      df_int wide = df_ceil_div(count, VL) * 2 * VL;
      uint16_t *to = w + c / DF_PANEL * panel + (r / 2 * DF_PANEL + c % DF_PANEL) * 2;
      for (df_int j = 0; j < TOGETHER; j++)
        row_planes(both[0][j], low ? far : 0, x + (c + j) * ldx + r, c + j < C ? n : 0,
                   wide);
      turn_stretch(to, both[0], count);
      if (low) turn_stretch(to + low, both[1], count);
    }
}

/* The loop over rows is outside, so each row is read once, in memory order. */
static void pair_planes(uint16_t *w, df_int panel, const uint16_t *x, df_int ldx,
                        df_int rows, df_int C, df_int tall) {
  for (df_int r = 0; r < tall; r += 2)
    for (df_int c = 0; c < C; c += VL) {
      const uint16_t *a = x + r * ldx + c;
      U low = r < rows ? uload16(a, VL) : uset1(0);
      U high = r + 1 < rows ? ushl(uload16(a + ldx, VL), 16) : uset1(0);
      ustore(w + c / DF_PANEL * panel + r * DF_PANEL + c % DF_PANEL * 2, uxor(low, high));
    }
}
