/* The product of planes of bf16 in tiles: 32 rows by a panel of 32 columns, four tiles of
** sums, for 32 channels a step. Written in the tile vocabulary (tile_amx.h). */
#include "kernels/vec.h"

/* Tiles 0..3 hold sums (rows 0..15 and 16..31 by columns 0..15 and 16..31), 4 and 5 rows
** of x, 6 and 7 weights. */
typedef struct tile_block {
  const df_pairs *p;
  df_int k, n;       /* first column of the panel, columns of it */
  const uint16_t *w; /* the panel */
  df_int row[2];     /* where the rows of each half begin */
  df_real *at[2];    /* sums are stored in y, or in `room` and copied from there */
  df_int ld[2];      /* bytes */
  df_real room[2][16][DF_PANEL];
} tile_block;

static df_int place_of(const df_pairs *p, df_int row) {
  return p->place ? p->place[row] : row * p->ldy;
}

static void fetch_half(tile_block *b, int h) {
  const df_pairs *p = b->p;
  for (df_int i = 0; i < df_min(16, p->m - b->row[h]); i++) {
    df_int to = place_of(p, b->row[h] + i);
    if (to >= 0) memcpy(b->room[h][i], p->y + to + b->k, (size_t)b->n * sizeof *p->y);
  }
}

static void open_half(tile_block *b, int h, df_int row) {
  const df_pairs *p = b->p;
  bool whole = !p->place && row + 16 <= p->m && b->n == DF_PANEL;
  b->row[h] = row;
  b->at[h] = whole ? p->y + row * p->ldy + b->k : b->room[h][0];
  b->ld[h] = (whole ? p->ldy : DF_PANEL) * (df_int)sizeof(df_real);
  if (p->accumulate && !whole) fetch_half(b, h);
}

/* Sums to their places, with bias and add. */
static void finish_half(tile_block *b, int h) {
  const df_pairs *p = b->p;
  bool there = b->at[h] != b->room[h][0];
  if (there && !p->bias && !p->add) return;
  for (df_int i = 0; i < df_min(16, p->m - b->row[h]); i++) {
    df_int to = place_of(p, b->row[h] + i) + b->k;
    if (to < b->k) continue;
    const df_real *from = there ? p->y + to : b->room[h][i];
    for (df_int j = 0; j < b->n; j += RL) {
      R v = rload_n(from + j, b->n - j);
      if (p->bias) v = radd(v, rload_n(p->bias + b->k + j, b->n - j));
      if (p->add) v = radd(v, rload_n(p->add + to + j, b->n - j));
      rstore(p->y + to + j, v, b->n - j);
    }
  }
}

INLINE void start_sums(const tile_block *b, const bool both) {
  if (!b->p->accumulate) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    return;
  }
  tile_load(0, b->at[0], b->ld[0]);
  tile_load(1, b->at[0] + 16, b->ld[0]);
  if (!both) return;
  tile_load(2, b->at[1], b->ld[1]);
  tile_load(3, b->at[1] + 16, b->ld[1]);
}

INLINE void store_sums(const tile_block *b, const bool both) {
  tile_store(0, b->at[0], b->ld[0]);
  tile_store(1, b->at[0] + 16, b->ld[0]);
  if (!both) return;
  tile_store(2, b->at[1], b->ld[1]);
  tile_store(3, b->at[1] + 16, b->ld[1]);
}

INLINE void load_rows(const uint16_t *x, const uint16_t *second, df_int pitch,
                      const bool both) {
  tile_load(4, x, pitch);
  if (both) tile_load(5, second, pitch);
}
INLINE void load_weights(const uint16_t *w) {
  tile_load(6, w, 4 * DF_PANEL);
  tile_load(7, w + DF_PANEL, 4 * DF_PANEL);
}
INLINE void add_products(const bool both) {
  tile_dot(0, 4, 6);
  tile_dot(1, 4, 7);
  if (!both) return;
  tile_dot(2, 5, 6);
  tile_dot(3, 5, 7);
}

/* With two planes the order low weights, high weights, low rows loads each tile once. */
INLINE void sum_tiles(const tile_block *b, const bool both, const bool twice) {
  const df_pairs *p = b->p;
  df_int pitch = p->ldx * 2;
  start_sums(b, both);
  for (df_int t = 0; t < p->taps; t++) {
    const uint16_t *x = p->x + b->row[0] * p->ldx + p->tap[t];
    const uint16_t *second = p->x + b->row[1] * p->ldx + p->tap[t];
    const uint16_t *w = b->w + (p->w_tap ? p->w_tap[t] : t * p->C * DF_PANEL);
    for (df_int c = 0; c < p->C; c += 32, w += 32 * DF_PANEL) {
      load_rows(x + c, second + c, pitch, both);
      if (twice) load_weights(w + p->w_low), add_products(both);
      load_weights(w);
      add_products(both);
      if (!twice) continue;
      load_rows(x + p->x_low + c, second + p->x_low + c, pitch, both);
      add_products(both);
    }
  }
  store_sums(b, both);
}

static df_int wanted_from(const df_pairs *p, df_int row) {
  while (p->place && row < p->m && p->place[row] < 0) row++;
  return row;
}

/* Each half begins at a row that is wanted, so rows between lines often cost nothing. */
static df_int tile_rows(tile_block *b, df_int row) {
  const df_pairs *p = b->p;
  df_int second = wanted_from(p, row + 16);
  bool both = second < p->m;
  open_half(b, 0, row);
  if (both) open_half(b, 1, second);
  else b->row[1] = row;
  if (both && p->x_low) sum_tiles(b, true, true);
  else if (both) sum_tiles(b, true, false);
  else if (p->x_low) sum_tiles(b, false, true);
  else sum_tiles(b, false, false);
  finish_half(b, 0);
  if (both) finish_half(b, 1);
  return both ? wanted_from(p, second + 16) : p->m;
}

/* The configuration is this call's own: it costs some 100 ns, a call works for 10 us. */
static void tiles(const df_pairs *p) {
  tile_block b = { .p = p };
  tile_open();
  for (df_int k = 0; k < p->K; k += DF_PANEL) {
    b.k = k, b.n = df_min(DF_PANEL, p->K - k);
    b.w = p->w + k / DF_PANEL * p->panel;
    for (df_int row = wanted_from(p, 0); row < p->m;) row = tile_rows(&b, row);
  }
  tile_close();
}
