/* Products of planes of bf16 in vectors. A pair of channels of a row is multiplied with
** the same pair in all columns of a panel. On machines without a dot product of pairs,
** this is the reference for the contract and not a fast path. */
#include "kernels/vec.h"

/* Computes mr rows from `row` x NR vectors from column k; n columns are left. mr and
** `twice` (there are low planes) are compile-time constants. */
INLINE void pair_block(const int mr, const bool twice, const df_pairs *p, df_int row,
                       df_int k, df_int n) {
  R s[PAIR_ROWS][NR];
  df_int to[PAIR_ROWS], left[NR];
  for (int j = 0; j < NR; j++) left[j] = df_max(0, n - j * RL);
  for (int i = 0; i < mr; i++) {
    to[i] = (p->place ? p->place[row + i] : (row + i) * p->ldy) + df_pairs_column(p, k);
    for (int j = 0; j < NR; j++)
      s[i][j] = p->accumulate ? rload_n(p->y + to[i] + j * RL, left[j]) : rset1(0);
  }
  /* y is fetched meanwhile, as in `rows` */
  for (int i = 0; i < mr && (p->place || p->ldy > DF_PANEL); i++)
    for (int j = 0; j < NR; j++) __builtin_prefetch(p->y + to[i] + j * RL, 1);
  const df_int ldx = p->ldx, x_low = p->x_low, w_low = p->w_low;
  for (df_int t = 0; t < p->taps; t++) {
    const uint16_t *x = p->x + row * ldx + p->tap[t];
    const uint16_t *w = p->w + df_pairs_tap(p, k / DF_PANEL, t) + k % DF_PANEL * 2;
    for (df_int c = 0; c < p->C; c += 2, w += 2 * DF_PANEL) {
      P b[NR], low[NR];
      for (int j = 0; j < NR; j++) {
        b[j] = pload(w + 2 * j * RL);
        if (twice) low[j] = pload(w + w_low + 2 * j * RL);
      }
      for (int i = 0; i < mr; i++) {
        P a = pset1(x + i * ldx + c);
        for (int j = 0; j < NR; j++) s[i][j] = rdot(a, b[j], s[i][j]);
        if (!twice) continue;
        P rest = pset1(x + x_low + i * ldx + c);
        for (int j = 0; j < NR; j++) s[i][j] = rdot(rest, b[j], rdot(a, low[j], s[i][j]));
      }
    }
  }
  for (int i = 0; i < mr; i++)
    for (int j = 0; j < NR; j++) {
      R v = s[i][j];
      if (p->bias) v = radd(v, rload_n(p->bias + k + j * RL, left[j]));
      if (p->add) v = radd(v, rload_n(p->add + to[i] + j * RL, left[j]));
      rstore(p->y + to[i] + j * RL, v, left[j]);
    }
}

/* Turns a run-time height into a compile-time constant. */
#define PAIRS_OF(h)                                                                      \
  case h:                                                                                \
    if (h <= PAIR_ROWS) pair_block(h < PAIR_ROWS ? h : PAIR_ROWS, twice, p, row, k, n);  \
    return

INLINE void pair_block_of(int mr, const bool twice, const df_pairs *p, df_int row,
                          df_int k, df_int n) {
  switch (mr) {
    PAIRS_OF(1);
    PAIRS_OF(2);
    PAIRS_OF(3);
    PAIRS_OF(4);
    PAIRS_OF(5);
    PAIRS_OF(6);
    PAIRS_OF(7);
    PAIRS_OF(8);
    PAIRS_OF(9);
    PAIRS_OF(10);
    PAIRS_OF(11);
    PAIRS_OF(12);
    PAIRS_OF(13);
    PAIRS_OF(14);
  }
}

static void pair_rows_of(int mr, const df_pairs *p, df_int row, df_int k, df_int n) {
  if (p->x_low) pair_block_of(mr, true, p, row, k, n);
  else pair_block_of(mr, false, p, row, k, n);
}

/* The first row at or after `row` that is stored, and the first that is not. */
static df_int wanted_row(const df_pairs *p, df_int row) {
  while (p->place && row < p->m && p->place[row] < 0) row++;
  return row;
}
static df_int unwanted_row(const df_pairs *p, df_int row) {
  if (!p->place) return p->m;
  while (row < p->m && p->place[row] >= 0) row++;
  return row;
}

/* Processes runs of stored rows in blocks of equal height, one panel at a time. */
static void pairs(const df_pairs *p) {
  for (df_int k = 0; k < p->K; k += NR * RL) {
    df_int row = wanted_row(p, 0);
    while (row < p->m) {
      df_int end = unwanted_row(p, row), m = end - row;
      df_int blocks = df_ceil_div(m, PAIR_ROWS);
      for (df_int b = 0; b < blocks; b++) {
        df_int from = b * m / blocks, to = (b + 1) * m / blocks;
        pair_rows_of((int)(to - from), p, row + from, k, p->K - k);
      }
      row = wanted_row(p, end);
    }
  }
}
