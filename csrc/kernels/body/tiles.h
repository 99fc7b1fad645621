/* Products of planes of bf16 in tiles. A block is 32 rows by a panel of 32 columns. It
** has four tiles of sums and takes 32 channels per step. See tile_amx.h for the tile
** operations. */
#include "kernels/vec.h"

/* Tiles 0..3 hold sums: rows 0..15 and 16..31 by columns 0..15 and 16..31. Tiles 4 and 5
** hold rows of x, and tiles 6 and 7 hold weights. */
typedef struct tile_panel {
  const df_pairs *p;
  df_int k, n;                /* first column; number of columns, at most DF_PANEL */
  df_int at;                  /* offset of the first column in y and add */
  bool plain;                 /* full panel; stores the sum, or the sum and add */
  df_int ahead;               /* from its weights to those that are fetched meanwhile */
  bool shared;                /* all blocks fetch a part of each step; else the first */
  df_real bias[16][DF_PANEL]; /* the bias in each of 16 rows, as two tiles */
} tile_panel;

/* Sixteen rows of a block. Their sums start from `first` (NULL: 0). They are stored
** directly in y, or in `room` and then scattered to y. */
typedef struct tile_half {
  df_int row;
  const df_real *first;
  df_real *last;
  df_int first_pitch, last_pitch; /* bytes */
  df_real room[16][DF_PANEL];
} tile_half;

typedef struct tile_block {
  tile_half half[2];
  bool both;          /* false: the first half only */
  df_int line, lines; /* cache lines of a step's weights that it fetches */
} tile_block;

#define LINE          32        /* bf16 of a cache line */
#define STEP_LINES    32        /* a plane of a step's weights has so many */
#define PANEL_FETCHED (5 << 14) /* bf16 */
#define FETCHED_AHEAD (1 << 13) /* bf16 */

#define ROOM_PITCH (DF_PANEL * (df_int)sizeof(df_real))

static df_int place_of(const df_pairs *p, df_int row) {
  return p->place ? p->place[row] : row * p->ldy;
}

/* The pitch from the place of each row to the next, for 16 rows; 0: it varies, or fewer
** rows are left. */
static df_int pitch_of(const df_pairs *p, df_int row) {
  if (row + 16 > p->m) return 0;
  if (!p->place) return p->ldy;
  df_int pitch = p->place[row + 1] - p->place[row], same = 1;
  for (df_int i = 1; i < 16; i++)
    same &= p->place[row + i] - p->place[row + i - 1] == pitch;
  return same ? pitch : 0;
}

static df_int wanted_from(const df_pairs *p, df_int row) {
  while (p->place && row < p->m && p->place[row] < 0) row++;
  return row;
}

/* The rows of a block. They are the same for all panels, so places are searched once.
** Each half starts at a row that is stored, so rows between lines often cost nothing. */
typedef struct tile_pick {
  df_int row[2], pitch[2];
  bool both;
} tile_pick;

/* Picks rows from `row` on. Returns the first row of the next block. */
static df_int pick_rows(const df_pairs *p, tile_pick *b, df_int row) {
  df_int second = wanted_from(p, row + 16);
  *b = (tile_pick){ { row, row }, { pitch_of(p, row) }, second < p->m };
  if (!b->both) return p->m;
  b->row[1] = second, b->pitch[1] = pitch_of(p, second);
  return wanted_from(p, second + 16);
}

/* Copies y of the rows to room. */
static void fetch_half(const tile_panel *t, tile_half *h) {
  const df_pairs *p = t->p;
  for (df_int i = 0; i < df_min(16, p->m - h->row); i++) {
    df_int to = place_of(p, h->row + i);
    if (to >= 0) memcpy(h->room[i], p->y + to + t->at, (size_t)t->n * sizeof *p->y);
  }
}

/* The order of the sum is the same for all rows, with and without bias. */
static void open_half(const tile_panel *t, tile_half *h, df_int row, df_int pitch) {
  const df_pairs *p = t->p;
  pitch *= t->n < DF_PANEL ? 0 : (df_int)sizeof(df_real);
  df_real *there = p->y + place_of(p, row) + t->at;
  h->row = row;
  h->last = pitch && t->plain && !p->add ? there : h->room[0];
  h->last_pitch = h->last == there ? pitch : ROOM_PITCH;
  h->first = p->accumulate ? h->last : p->bias ? t->bias[0] : NULL;
  h->first_pitch = p->accumulate ? h->last_pitch : ROOM_PITCH;
  if (p->accumulate && h->last != there) fetch_half(t, h);
}

/* Moves a row of sums from room to its place in y and adds bias and add. */
static void finish_row(const tile_panel *t, const df_real *sums, df_int to) {
  const df_pairs *p = t->p;
  for (df_int j = 0; j < t->n; j += RL) {
    R v = rload(sums + j);
    if (p->accumulate && p->bias) v = radd(v, rload(t->bias[0] + j));
    if (p->add) v = radd(v, rload_n(p->add + to + j, t->n - j));
    rstore(p->y + to + j, v, t->n - j);
  }
}

/* Scatters rows [from, from + n) of a block's 32; they are in one half. */
INLINE void scatter(const tile_panel *t, const tile_block *b, df_int from, df_int n) {
  const df_pairs *p = t->p;
  const tile_half *h = &b->half[from / 16];
  if (h->last != h->room[0] || (from >= 16 && !b->both)) return;
  for (df_int i = from % 16; i < from % 16 + n && h->row + i < p->m; i++) {
    df_int to = place_of(p, h->row + i) + t->at;
    if (to < t->at) continue;
    if (!t->plain) {
      finish_row(t, h->room[i], to);
      continue;
    }
    for (df_int j = 0; j < DF_PANEL; j += RL) {
      R v = rload(h->room[i] + j);
      rstore(p->y + to + j, p->add ? radd(v, rload(p->add + to + j)) : v, RL);
    }
  }
}

INLINE void start_sums(const tile_block *b, const bool both) {
  const tile_half *h = b->half;
  if (!h[0].first) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    return;
  }
  tile_load(0, h[0].first, h[0].first_pitch);
  tile_load(1, h[0].first + 16, h[0].first_pitch);
  if (!both) return;
  tile_load(2, h[1].first, h[1].first_pitch);
  tile_load(3, h[1].first + 16, h[1].first_pitch);
}

INLINE void store_sums(const tile_block *b, const bool both) {
  const tile_half *h = b->half;
  tile_store(0, h[0].last, h[0].last_pitch);
  tile_store(1, h[0].last + 16, h[0].last_pitch);
  if (!both) return;
  tile_store(2, h[1].last, h[1].last_pitch);
  tile_store(3, h[1].last + 16, h[1].last_pitch);
}

INLINE void load_rows(const uint16_t *x, const uint16_t *second, df_int pitch,
                      const bool both) {
  tile_load(4, x, pitch);
  if (both) tile_load(5, second, pitch);
}
INLINE void fetch_weights(const tile_panel *t, const tile_block *b, const uint16_t *w) {
  uintptr_t at = (uintptr_t)w + 2 * (size_t)(t->ahead + b->line * LINE);
  for (df_int i = 0; i < b->lines; i++, at += 2 * LINE)
    __builtin_prefetch((const void *)at, 0, 2); /* it may be behind the weights */
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

#define SCATTERED 4 /* rows at a time */

/* With two planes, the order low weights, high weights, low rows loads each tile once.
** The block `before` (or NULL) is scattered in small steps while the tiles are busy.
** Otherwise tiles would wait for it: a quarter of the time with few channels. */
INLINE void sum_tiles(const tile_panel *panel, const tile_block *b,
                      const tile_block *before, const bool both, const bool twice) {
  const df_pairs *p = panel->p;
  const df_int pitch = p->ldx * 2, C = p->C, x_low = p->x_low, w_low = p->w_low;
  df_int scattered = before ? 0 : 32;
  start_sums(b, both);
  for (df_int t = 0; t < p->taps; t++) {
    const uint16_t *x = p->x + b->half[0].row * p->ldx + p->tap[t];
    const uint16_t *second = p->x + b->half[1].row * p->ldx + p->tap[t];
    const uint16_t *w = p->w + df_pairs_tap(p, panel->k / DF_PANEL, t);
    for (df_int c = 0; c < C; c += 32, w += 32 * DF_PANEL) {
      if (!twice) fetch_weights(panel, b, w);
      load_rows(x + c, second + c, pitch, both);
      if (twice) load_weights(w + w_low), add_products(both);
      load_weights(w);
      add_products(both);
      if (twice) {
        load_rows(x + x_low + c, second + x_low + c, pitch, both);
        add_products(both);
      }
      if (scattered == 32) continue;
      scatter(panel, before, scattered, SCATTERED);
      scattered += SCATTERED;
    }
  }
  store_sums(b, both);
  for (; scattered < 32; scattered += 16 - scattered % 16)
    scatter(panel, before, scattered, 16 - scattered % 16);
}

static void sum_block(const tile_panel *t, const tile_pick *pick, tile_block *b,
                      const tile_block *before) {
  const df_pairs *p = t->p;
  b->both = pick->both;
  b->half[1].row = pick->row[1];
  open_half(t, &b->half[0], pick->row[0], pick->pitch[0]);
  if (b->both) open_half(t, &b->half[1], pick->row[1], pick->pitch[1]);
  if (b->both && p->x_low) sum_tiles(t, b, before, true, true);
  else if (b->both) sum_tiles(t, b, before, true, false);
  else if (p->x_low) sum_tiles(t, b, before, false, true);
  else sum_tiles(t, b, before, false, false);
}

/* Weights come from memory, which would be read only while the first block of rows waits
** for it. A panel that fits the second cache besides another is fetched while the one
** before it is used. A larger one is fetched by the first block, shortly before its use.
** It saves a fourteenth of a text encoder's time and a twentieth of the denoiser's. With
** two planes, products take so long that it gains nothing. */
static void plan_fetching(tile_panel *t) {
  const df_pairs *p = t->p;
  t->shared = p->panel <= PANEL_FETCHED;
  t->ahead = t->shared ? p->panel : FETCHED_AHEAD;
}

static void share_fetching(const tile_panel *t, tile_block *b, int i, int count) {
  const int all = t->p->w_tap || t->p->x_low ? 0 : STEP_LINES;
  b->line = t->shared ? i * all / count : 0;
  b->lines = t->shared ? (i + 1) * all / count - b->line : i == 0 ? all : 0;
}

static void open_panel(tile_panel *t, df_int k) {
  const df_pairs *p = t->p;
  t->k = k, t->n = df_min(DF_PANEL, p->K - k);
  t->at = df_pairs_column(p, k);
  t->plain = t->n == DF_PANEL && !(p->accumulate && p->bias);
  for (df_int i = 0; i < 16 && p->bias; i++)
    for (df_int j = 0; j < DF_PANEL; j += RL)
      rstore(t->bias[i] + j, rload_n(p->bias + k + j, df_max(0, t->n - j)), RL);
}

static void sum_blocks(const tile_panel *t, const tile_pick *pick, int count) {
  tile_block block[2];
  for (int i = 0; i < count; i++) {
    share_fetching(t, &block[i % 2], i, count);
    sum_block(t, &pick[i], &block[i % 2], i > 0 ? &block[(i - 1) % 2] : NULL);
  }
  for (df_int i = 0; i < 32; i += 16) scatter(t, &block[(count - 1) % 2], i, 16);
}

#define PICKS 64 /* 2048 rows; only attention gives more, and to one panel */

/* Each call configures the tiles. That costs about 100 ns, and a call takes about 10
** us. */
static void tiles(const df_pairs *p) {
  tile_panel t; /* not cleared, which would take a tenth of a call in attention */
  tile_pick pick[PICKS];
  t.p = p;
  plan_fetching(&t);
  tile_open();
  for (df_int row = wanted_from(p, 0); row < p->m;) {
    int count = 0;
    while (row < p->m && count < PICKS) row = pick_rows(p, &pick[count++], row);
    for (df_int k = 0; k < p->K; k += DF_PANEL) {
      open_panel(&t, k);
      sum_blocks(&t, pick, count);
    }
  }
  tile_close();
}
