/* Products of reals: rows of x times packed panels of weights. Each tap adds a constant
** offset to x. Linear layers use it, and so do 3x3 convolutions in flat padded form. */
#include "kernels/vec.h"

#define PANEL (NR * RL)

/* Arguments that all register blocks of a call share. */
typedef struct job {
  df_int ldy, ldx, step, ldadd, taps, C;
  const df_int *tap;
  bool accumulate;
} job;

/* Computes y of `mr` rows x `nr` vectors; both are compile-time constants. The last
** vector has n - (nr - 1) RL columns. bias and add may be NULL. */
INLINE void block(const int mr, const int nr, const job *j, df_real *y, const df_real *x,
                  const df_real *w, const df_real *bias, const df_real *add, df_int n) {
  R s[MR][NR];
  for (int i = 0; i < mr; i++)
    for (int k = 0; k < nr; k++) s[i][k] = rset1(0);
  /* y is fetched meanwhile, else 28 stores wait for memory. With 320 channels this saves
  ** 5 % of the time, and a tenth in bf16 (Zen 4). A dense panel is scratch in cache. */
  for (int i = 0; i < mr && j->ldy > PANEL; i++)
    for (int k = 0; k < nr; k++) __builtin_prefetch(y + i * j->ldy + k * RL, 1);
  for (df_int t = 0; t < j->taps; t++) {
    const df_real *p = x + j->tap[t];
    for (df_int c = 0; c < j->C; c++, w += PANEL) {
      R b[NR];
      for (int k = 0; k < nr; k++) b[k] = rload(w + k * RL);
      for (int i = 0; i < mr; i++) {
        R a = rset1(p[i * j->ldx + c * j->step]);
        for (int k = 0; k < nr; k++) s[i][k] = rfma(a, b[k], s[i][k]);
      }
    }
  }
  for (int k = 0; k < nr; k++) {
    df_int at = k * RL, left = n - at;
    R offset = bias ? rload_n(bias + at, left) : rset1(0);
    for (int i = 0; i < mr; i++) {
      df_real *out = y + i * j->ldy + at;
      R v = radd(s[i][k], offset);
      if (add) v = radd(v, rload_n(add + i * j->ldadd + at, left));
      if (j->accumulate) v = radd(v, rload_n(out, left));
      rstore(out, v, left);
    }
  }
}

/* Turns a run-time height into a compile-time constant. */
#define HEIGHT(h)                                                                        \
  case h:                                                                                \
    if (h <= MR) block(h < MR ? h : MR, nr, j, y, x, w, bias, add, n);                   \
    return

INLINE void block_of_height(int mr, const int nr, const job *j, df_real *y,
                            const df_real *x, const df_real *w, const df_real *bias,
                            const df_real *add, df_int n) {
  switch (mr) {
    HEIGHT(1);
    HEIGHT(2);
    HEIGHT(3);
    HEIGHT(4);
    HEIGHT(5);
    HEIGHT(6);
    HEIGHT(7);
    HEIGHT(8);
    HEIGHT(9);
    HEIGHT(10);
    HEIGHT(11);
    HEIGHT(12);
    HEIGHT(13);
    HEIGHT(14);
  }
}

static void block_of(int mr, const job *j, df_real *y, const df_real *x, const df_real *w,
                     const df_real *bias, const df_real *add, df_int n) {
  if (n <= RL) block_of_height(mr, 1, j, y, x, w, bias, add, n);
  else block_of_height(mr, NR, j, y, x, w, bias, add, n);
}

/* The loop over panels is outside. A panel of 9 x 256 x 32 floats is 295 KB, so it
** stays in the second-level cache while all rows pass. For its 12 (AVX2) or 28
** (AVX-512) vector products a block reads 64 or 128 bytes of the panel. The cache
** delivers much more, so blocking over taps or channels gains nothing. A Zen 5 core
** does 245 GF/s in AVX-512 and 120 in AVX2, at least nine tenths of its peak. This
** holds for C and K of 32 to 256 with 9 taps, and for C = 576 with one tap. With C =
** 1280 a panel does not fit the cache, and the rates are 200 and 110. Blocks have
** equal height: 8 + 8 rows are faster than 14 + 2. */
static void rows(df_real *y, df_int ldy, const df_real *x, df_int ldx, const df_int *tap,
                 df_int taps, const df_real *packed, const df_real *bias,
                 const df_real *add, df_int ldadd, bool accumulate, df_int m, df_int C,
                 df_int K) {
  const job j = { ldy, ldx, 1, ldadd, taps, C, tap, accumulate };
  df_int blocks = df_ceil_div(m, MR);
  for (df_int k = 0; k < K; k += PANEL, packed += taps * C * PANEL)
    for (df_int b = 0; b < blocks; b++) {
      df_int r = b * m / blocks, end = (b + 1) * m / blocks;
      block_of((int)(end - r), &j, y + r * ldy + k, x + r * ldx, packed,
               bias ? bias + k : NULL, add ? add + r * ldadd + k : NULL,
               df_min(K - k, PANEL));
    }
}

/* As rows, with x transposed. */
static void rows_turned(df_real *y, df_int ldy, const df_real *x, df_int ldx,
                        const df_real *packed, bool accumulate, df_int m, df_int C,
                        df_int K) {
  const df_int none = 0;
  const job j = { ldy, 1, ldx, 0, 1, C, &none, accumulate };
  df_int blocks = df_ceil_div(m, MR);
  for (df_int k = 0; k < K; k += PANEL, packed += C * PANEL)
    for (df_int b = 0; b < blocks; b++) {
      df_int r = b * m / blocks, end = (b + 1) * m / blocks;
      block_of((int)(end - r), &j, y + r * ldy + k, x + r, packed, NULL, NULL,
               df_min(K - k, PANEL));
    }
}

/* Rows that are copied at a time. Whole lines of x are used while they are in the first
** cache, and those of the next rows are fetched meanwhile. */
#define COPIED_ROWS 16

static void copy_strips(df_real *y, const df_real *x, df_int ldx, df_int C, df_int m) {
  for (df_int from = 0; from < C; from += COPIED_ROWS)
    for (df_int i = 0; i < m; i += MR)
      for (df_int c = from; c < df_min(from + COPIED_ROWS, C); c++) {
        df_real *to = y + i * C + c * MR;
        const df_real *at = x + c * ldx + i;
        __builtin_prefetch(at + df_min(COPIED_ROWS, C - 1 - c) * ldx);
        if (i + MR <= m) memcpy(to, at, MR * sizeof *y);
        else memcpy(to, at, (size_t)(m - i) * sizeof *y);
      }
}

/* A row of a panel: n adjacent numbers, and zeros. */
INLINE void panel_row(df_real *to, const df_real *from, df_int n) {
  for (int k = 0; k < NR; k++)
    rstore(to + k * RL, rload_n(from + k * RL, df_max(0, n - k * RL)), RL);
}

/* Columns are adjacent, so rows are read in memory order. */
static void pack_adjacent(df_real *packed, const df_real *w, df_int C, df_int sc,
                          df_int K) {
  for (df_int from = 0; from < C; from += COPIED_ROWS)
    for (df_int k = 0; k < K; k += PANEL)
      for (df_int c = from; c < df_min(from + COPIED_ROWS, C); c++) {
        const df_real *at = w + c * sc + k;
        __builtin_prefetch(at + df_min(COPIED_ROWS, C - 1 - c) * sc);
        panel_row(packed + k * C + c * PANEL, at, df_min(K - k, PANEL));
      }
}

static void pack_weights(df_real *packed, const df_real *w, df_int taps, df_int st,
                         df_int C, df_int sc, df_int K, df_int sk) {
  if (taps == 1 && sk == 1) {
    pack_adjacent(packed, w, C, sc, K);
    return;
  }
  for (df_int k0 = 0; k0 < K; k0 += PANEL) {
    df_int n = df_min(K - k0, PANEL);
    for (df_int t = 0; t < taps; t++)
      for (df_int c = 0; c < C; c++, packed += PANEL) {
        const df_real *from = w + t * st + c * sc + k0 * sk;
        for (df_int k = 0; k < n; k++) packed[k] = from[k * sk];
        for (df_int k = n; k < PANEL; k++) packed[k] = 0;
      }
  }
}
