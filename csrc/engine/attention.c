/* Attention, forward. Panels of queries pass over the keys tile by tile. A tile's scores
** and their powers of 2 stay in the first caches until they are multiplied with v. So
** softmax needs one pass: powers may be taken from any top near the largest score. */
#include "engine/attention.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "engine/ahead.h"
#include "engine/attend.h"

#define QUERIES       512 /* queries of an item, at most */
#define QUERIES_LEAST 32  /* all panels divide it */
#define PANEL_LEAST   4
#define STATE         (64 * 1024) /* reals of an item's queries and y, about */
#define FAR_FROM      60          /* distance from its top at which a score moves it */

typedef struct forward {
  df_attending t;
  df_int queries, items, tiles; /* queries of an item; items and tiles of a head */
  df_tile *packed;              /* the tiles of all heads; NULL: items pack them */
  df_real *packs;
  df_workspace room;
} forward;

/* ==== tiles ========================================================================= */

static df_int keys_size(const df_attending *t) {
  return df_left_size(t->f, t->keys, t->a.D);
}
static df_int tile_size(const df_attending *t) {
  return keys_size(t) + df_left_size(t->f, t->a.D, t->keys);
}

static df_tile pack_tile(const df_attending *t, df_head h, df_int tile, df_real *room) {
  df_int key = tile * t->keys, m = df_min(t->keys, t->a.M - key), D = t->a.D;
  df_tokens k = t->in.k, v = t->in.v;
  df_read_ahead(df_token(t, k, h, key), k.token, m, D);
  df_read_ahead(df_token(t, v, h, key), v.token, m, D);
  df_left keys = df_left_strips(t->f, room, df_token(t, k, h, key), k.token, m, D);
  room += keys_size(t);
  df_left values =
      df_left_strips_turned(t->f, room, df_token(t, v, h, key), v.token, D, m);
  return (df_tile){ key, m, m, keys, values, { 0 } };
}

static void pack_tiles(void *context, df_int begin, df_int end) {
  forward *w = context;
  for (df_int i = begin; i < end; i++)
    w->packed[i] = pack_tile(&w->t, df_head_of(&w->t, i / w->tiles), i % w->tiles,
                             w->packs + i * tile_size(&w->t));
}

/* ==== panels ======================================================================== */

/* Queries with what is known of them after some keys: y transposed (D x n), the negative
** of their tops, and the sums of their powers. */
typedef struct panel {
  df_queries q;
  df_real *y, *shift, *total;
} panel;

/* Room for a tile of scores, as they are and as weights, and for numbers of a panel. */
typedef struct scratch {
  df_real *p, *weights, *added, *most, *sum, *zero;
} scratch;

static df_int panel_size(const df_attending *t) {
  return df_right_size(t->f, t->a.D, t->panel) + (t->a.D + 2) * t->panel;
}

static df_int scratch_size(const df_attending *t) {
  return (t->keys + 3) * t->panel + df_right_size(t->f, t->keys, t->panel)
         + df_added_room(t);
}

static df_int forward_room(const forward *w) {
  const df_attending *t = &w->t;
  return w->queries / t->panel * panel_size(t) + scratch_size(t)
         + (w->packed ? 0 : tile_size(t));
}

static scratch claim_scratch(const df_attending *t, df_real **room) {
  df_int C = t->panel;
  scratch s = { df_claim(room, t->keys * C),
                df_claim(room, df_right_size(t->f, t->keys, C)),
                df_claim(room, df_added_room(t)),
                df_claim(room, C),
                df_claim(room, C),
                df_claim(room, C) };
  memset(s.zero, 0, (size_t)C * sizeof *s.zero);
  return s;
}

/* The next queries, and y, which is written after the last tile. */
static void read_ahead(const df_attending *t, df_head h, df_int from, df_int n) {
  df_int N = t->a.N, D = t->a.D, next = from + n;
  df_tokens q = t->in.q;
  df_read_ahead(t->y + df_dense_token(t, h, N, from), t->width, n, D);
  df_read_ahead(df_token(t, q, h, next), q.token, df_min(t->panel, N - next), D);
}

static panel open_panel(const df_attending *t, df_head h, df_int from, df_int n,
                        df_real *room) {
  df_int D = t->a.D, C = t->panel;
  df_real *columns = df_claim(&room, df_right_size(t->f, D, C));
  panel x = { .q = { from, n } };
  x.q.at =
      df_right_columns(t->f, columns, df_token(t, t->in.q, h, from), t->in.q.token, D, n);
  x.y = df_claim(&room, D * C), x.shift = df_claim(&room, 2 * C);
  x.total = x.shift + C;
  memset(x.shift, 0, (size_t)(2 * C) * sizeof *x.shift);
  return x;
}

/* Tops begin at 0, and move to the largest score so far if that is too far away. So most
** tiles are scored once, without a search for the maximum. A top is an integer, and so is
** the binary exponent that is added to it in the end: nothing is rounded. Returns true if
** a top has moved, so that the tile's powers must be taken again. most[c] becomes the
** factor of the panel's numbers so far. */
static bool move_tops(const df_attending *t, panel *x, df_real *most) {
  bool moved = false;
  for (df_int c = 0; c < t->panel; c++) {
    df_real far = most[c];
    bool first = x->total[c] == 0;
    most[c] = 1;
    if (!(far > FAR_FROM || (far < -FAR_FROM && first)) || far - far != 0) continue;
    moved = true, far = (df_real)rint((double)far), x->shift[c] -= far;
    if (!first) most[c] = (df_real)exp2(-(double)far);
  }
  return moved;
}

/* Powers of a tile's scores in s->p, and their sums in s->sum. */
static void take_powers(const df_attending *t, df_head h, const df_tile *k,
                        const panel *x, const scratch *s) {
  df_scores scores = df_tile_scores(t, h, k, &x->q, s->p, s->added);
  scores.shift = x->shift;
  for (df_int c = 0; c < t->panel; c++) s->sum[c] = 0, s->most[c] = -(df_real)INFINITY;
  df_kernel()->score_powers(&scores, s->most, s->sum);
}

static void add_tile(const df_attending *t, df_head h, const df_tile *k, panel *x,
                     const scratch *s) {
  const df_kernels *kernel = df_kernel();
  df_int D = t->a.D, C = t->panel;
  bool first = k->key == 0;
  take_powers(t, h, k, x, s);
  if (move_tops(t, x, s->most)) {
    kernel->mul(x->total, x->total, 1, s->most, 1, C);
    for (df_int d = 0; d < D && !first; d++)
      kernel->mul(x->y + d * C, x->y + d * C, 1, s->most, 1, C);
    take_powers(t, h, k, x, s);
  }
  kernel->add(x->total, x->total, 1, s->sum, 1, C);
  df_multiply_panel(t->f, x->y, k->v, df_right_panel(t->f, s->weights, s->p, k->used),
                    !first, D, k->used);
}

/* The top and the share of a query, and what y is to be multiplied by. Both are 0 if it
** sees no key. A share that is far from 1 gives its binary exponent to the top. */
static void settle(const panel *x, df_int c, df_real *top, df_real *share) {
  double total = (double)x->total[c];
  bool near = total > 1e-6 && total < 1e6;
  int power = near || total == 0 || total - total != 0 ? 0 : ilogb(total);
  *top = total == 0 ? 0 : (df_real)power - x->shift[c];
  *share = total == 0 ? 0 : (df_real)(1 / (power ? ldexp(total, -power) : total));
  x->total[c] = total == 0 ? 0 : (df_real)(1 / total);
}

static void close_panel(const df_attending *t, df_head h, const panel *x,
                        const scratch *s) {
  df_int D = t->a.D, C = t->panel, N = t->a.N, from = x->q.query;
  df_real *pair = t->softmax + df_softmax_pair(t, h, from);
  for (df_int c = 0; c < x->q.n; c++) settle(x, c, pair + c, pair + N + c);
  for (df_int c = x->q.n; c < C; c++) x->total[c] = 0;
  df_kernel()->norm_rows(x->y, x->y, s->zero, x->total, s->zero, D, C);
  df_kernel()->transpose(t->y + df_dense_token(t, h, N, from), t->width, x->y, C, D,
                         x->q.n);
}

/* ==== items ========================================================================= */

/* Tiles of a head were packed before, or are packed here one at a time. */
static df_tile tile_of(const forward *w, df_head h, df_int tile, df_real *own) {
  if (!w->packed) return pack_tile(&w->t, h, tile, own);
  return w->packed[(h.sample * w->t.a.heads + h.index) * w->tiles + tile];
}

static void work_item(const forward *w, df_head h, df_int from, df_real *room) {
  const df_attending *t = &w->t;
  df_int C = t->panel, to = df_min(from + w->queries, t->a.N);
  panel panels[QUERIES / PANEL_LEAST];
  scratch s = claim_scratch(t, &room);
  df_real *own = w->packed ? NULL : df_claim(&room, tile_size(t));
  df_int seen = df_keys_seen(t, to - 1);
  for (df_int tile = 0; tile * t->keys < seen; tile++) {
    df_tile k = tile_of(w, h, tile, own);
    for (df_int i = from; i < to; i += C) {
      panel *x = &panels[(i - from) / C];
      df_int n = df_min(C, to - i), end = df_keys_seen(t, i + n - 1) - k.key;
      if (end <= 0) continue;
      if (tile == 0) {
        read_ahead(t, h, i, n);
        *x = open_panel(t, h, i, n, df_claim(&room, panel_size(t)));
      }
      k.used = df_min(k.m, end);
      add_tile(t, h, &k, x, &s);
      if (end <= k.m) close_panel(t, h, x, &s);
    }
  }
}

static void forward_items(void *context, df_int begin, df_int end) {
  forward *w = context;
  df_real *piece = df_workspace_take(&w->room);
  for (df_int item = begin; item < end; item++)
    work_item(w, df_head_of(&w->t, item / w->items), item % w->items * w->queries, piece);
  df_workspace_give(&w->room, piece);
}

static forward forward_of(df_attending t) {
  forward w = { .t = t, .tiles = df_ceil_div(t.a.M, t.keys) };
  df_int queries = df_max(QUERIES_LEAST, STATE / (2 * t.a.D)), N = t.a.N;
  queries = N <= 2 * queries ? N + QUERIES_LEAST - 1 : queries;
  w.queries = df_min(QUERIES, queries) / QUERIES_LEAST * QUERIES_LEAST;
  w.items = df_ceil_div(t.a.N, w.queries);
  return w;
}

/* Packs the tiles of all heads, if more than one item uses them. */
static df_code pack_heads(forward *w) {
  df_int tiles = w->t.a.B * w->t.a.heads * w->tiles;
  if (w->items == 1) return DF_OK;
  w->packed = df_alloc((size_t)tiles * sizeof *w->packed);
  w->packs = df_alloc((size_t)(tiles * tile_size(&w->t)) * sizeof *w->packs);
  if (!w->packed || !w->packs) return DF_MEMORY;
  df_parallel(tiles, 1, pack_tiles, w);
  return DF_OK;
}

df_code df_attend_forward(const df_attend *a, df_real *y, df_real *softmax, df_tokens q,
                          df_tokens k, df_tokens v, df_mask mask) {
  if (a->B * a->N * a->heads * a->D == 0) return DF_OK;
  forward w = forward_of(
      df_attending_of(a, &(df_attend_kept){ .q = q, .k = k, .v = v, .mask = mask }));
  df_int items = a->B * a->heads * w.items;
  w.t.y = y, w.t.softmax = softmax;
  df_code code = pack_heads(&w);
  if (code == DF_OK) code = df_workspace_open(&w.room, forward_room(&w), items);
  if (code == DF_OK) {
    df_parallel(items, 1, forward_items, &w);
    df_workspace_close(&w.room);
  }
  df_free(w.packed), df_free(w.packs);
  return code;
}
