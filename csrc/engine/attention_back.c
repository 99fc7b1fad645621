/* Attention, backward. With s = scale q k^T, p = softmax(s) and y = p v:
**   dv = p^T dy
**   dp = dy v^T
**   ds = scale p (dp - sum(dp p)), where sum(dp p) = sum(dy y)
**   dq = ds k
**   dk = ds^T q
** An item is a part of the keys of one head. No other item adds to their dk and dv. If a
** head has several parts, each has its own dq, and these are added up in order at the
** end. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "engine/attend.h"
#include "engine/gemm.h"

#define QUERIES     64 /* size of a block; all kernels' panels divide it */
#define PANELS_MOST 16
#define PART        512         /* keys of a part, at least */
#define PARTS       4           /* parts of a head, at most */
#define PARTS_ALL   16          /* parts of a sample, if its heads are fewer */
#define BLOCKS      (64 * 1024) /* reals of the blocks that pass over a tile, about */
#define BLOCKS_MOST 8

typedef struct backward {
  df_attending t;
  df_real *partial; /* parts of dq, each as dq; NULL if there is one part */
  df_int parts, blocks;
  df_workspace room;
} backward;

/* ==== blocks of queries ============================================================= */

/* All arrays have panels of queries, with zeros after the n-th. */
typedef struct block {
  df_int from, n, panels;
  df_right queries[PANELS_MOST], slopes[PANELS_MOST]; /* q and dy as columns */
  df_right q, dy;                /* weights: all queries, D columns */
  df_real *shift, *share, *mean; /* one per query */
  df_real *dq;                   /* transposed: panels of D x panel */
} block;

/* Room for p and ds of a tile and a block, as they are and as operands. */
typedef struct scratch {
  df_real *p, *ds, *added, *left, *right, *line;
} scratch;

static df_int columns_size(const df_attending *t) {
  return df_right_size(t->f, t->a.D, t->panel);
}
static df_int weights_size(const df_attending *t) {
  return df_right_size(t->f, QUERIES, t->a.D);
}
static df_int block_size(const df_attending *t) {
  return 2 * QUERIES / t->panel * columns_size(t) + 2 * weights_size(t)
         + (t->a.D + 3) * QUERIES;
}

/* n tokens as panels of columns; and as weights, with zeros from n on. */
static void pack_columns(const df_attending *t, df_right *to, df_real **room,
                         const df_real *x, df_int ld, const block *b) {
  for (df_int i = 0; i < b->panels; i++) {
    df_int from = i * t->panel, n = df_min(t->panel, b->n - from);
    to[i] = df_right_columns(t->f, df_claim(room, columns_size(t)), x + from * ld, ld,
                             t->a.D, n);
  }
}
static df_right pack_weights(const df_attending *t, df_real **room, const df_real *x,
                             df_int ld, const block *b) {
  return df_right_rows(t->f, df_claim(room, weights_size(t)), x, ld, b->n,
                       b->panels * t->panel, t->a.D);
}

/* Fills in the negative of each query's top, its share, and -scale sum(dy y). Powers of
** columns without a query are 0. */
static void fill_numbers(const df_attending *t, df_head h, block *b, df_real **room) {
  df_int N = t->a.N, D = t->a.D, at = df_softmax_pair(t, h, b->from);
  df_int first = df_dense_token(t, h, N, b->from);
  const df_real *top = t->in.softmax + at, *share = top + N;
  const df_real *y = t->in.y + first, *dy = t->in.dy + first;
  b->shift = df_claim(room, QUERIES), b->share = df_claim(room, QUERIES);
  b->mean = df_claim(room, QUERIES);
  memset(b->share, 0, 2 * QUERIES * sizeof *b->share); /* and mean */
  df_kernel()->dot_rows(b->mean, dy, t->width, y, t->width, b->n, D);
  for (df_int i = 0; i < QUERIES; i++) {
    b->shift[i] = i < b->n ? -top[i] : -(df_real)INFINITY;
    b->mean[i] *= -t->scale;
  }
  memcpy(b->share, share, (size_t)b->n * sizeof *b->share);
}

static block open_block(const df_attending *t, df_head h, df_int from, df_real *room) {
  const df_real *q = df_token(t, t->in.q, h, from);
  const df_real *dy = t->in.dy + df_dense_token(t, h, t->a.N, from);
  block b = { .from = from, .n = df_min(QUERIES, t->a.N - from) };
  b.panels = df_ceil_div(b.n, t->panel);
  fill_numbers(t, h, &b, &room);
  pack_columns(t, b.queries, &room, q, t->in.q.token, &b);
  pack_columns(t, b.slopes, &room, dy, t->width, &b);
  if (t->dk) b.q = pack_weights(t, &room, q, t->in.q.token, &b);
  if (t->dv) b.dy = pack_weights(t, &room, dy, t->width, &b);
  b.dq = df_claim(&room, t->a.D * QUERIES);
  return b;
}

/* ==== tiles ========================================================================= */

static df_int keys_size(const df_attending *t) {
  return df_left_size(t->f, t->keys, t->a.D);
}
static df_int turned_size(const df_attending *t) {
  return df_left_size(t->f, t->a.D, t->keys);
}
static df_int tile_size(const df_attending *t) {
  return 2 * keys_size(t) + turned_size(t);
}

/* m keys from `key` on. */
static df_tile pack_tile(const df_attending *t, df_head h, df_int key, df_int m,
                         df_real *room) {
  df_tokens tk = t->in.k, tv = t->in.v;
  const df_real *k = df_token(t, tk, h, key), *v = df_token(t, tv, h, key);
  df_int D = t->a.D;
  df_tile to = { .key = key, .m = m, .used = m };
  to.k = df_left_strips(t->f, df_claim(&room, keys_size(t)), k, tk.token, m, D);
  to.v = df_left_strips(t->f, df_claim(&room, keys_size(t)), v, tv.token, m, D);
  if (t->dq) to.turned = df_left_strips_turned(t->f, room, k, tk.token, D, m);
  return to;
}

/* p and ds of a tile's keys and a block's queries, panel by panel. */
static void score_tile(const df_attending *t, df_head h, const block *b, const df_tile *k,
                       const scratch *s) {
  df_int C = t->panel;
  for (df_int i = 0; i < b->panels; i++) {
    df_real *p = s->p + i * t->keys * C, *ds = s->ds + i * t->keys * C;
    df_queries q = { b->from + i * C, df_min(C, b->n - i * C), b->queries[i] };
    df_scores powers = df_tile_scores(t, h, k, &q, p, s->added);
    powers.shift = b->shift + i * C;
    df_kernel()->score_again(&powers, b->share + i * C);
    df_scores slopes = df_tile_product(t, k->v, b->slopes[i], k, ds);
    slopes.factor = t->scale, slopes.shift = b->mean + i * C;
    df_kernel()->score_slopes(&slopes, p);
  }
}

/* Adds to dk, dv and the block's dq. */
static void work_tile(const df_attending *t, df_head h, const block *b, const df_tile *k,
                      const scratch *s, bool first) {
  df_int D = t->a.D, C = t->panel, step = t->keys * C, m = k->used;
  df_int at = df_dense_token(t, h, t->a.M, k->key);
  score_tile(t, h, b, k, s);
  if (t->dv)
    df_add_panels(t->f, s->left, t->dv + at, t->width, s->p, step, b->panels, b->dy, m,
                  D);
  if (t->dk)
    df_add_panels(t->f, s->left, t->dk + at, t->width, s->ds, step, b->panels, b->q, m,
                  D);
  for (df_int i = 0; i < b->panels && t->dq; i++) {
    df_right ds = df_right_panel(t->f, s->right, s->ds + i * step, m);
    df_multiply_panel(t->f, b->dq + i * C * D, k->turned, ds, !first, D, m);
  }
}

/* ==== parts ========================================================================= */

/* Keys [from, end) of a head. */
typedef struct part {
  df_head h;
  df_int index, from, end;
  df_tile *tiles;
} part;

static df_int scratch_size(const df_attending *t) {
  return 2 * t->keys * QUERIES + df_added_room(t) + df_left_size(t->f, t->keys, QUERIES)
         + df_right_size(t->f, t->keys, t->panel) + t->a.D * t->panel;
}

static scratch claim_scratch(const df_attending *t, df_real **room) {
  return (scratch){ df_claim(room, t->keys * QUERIES),
                    df_claim(room, t->keys * QUERIES),
                    df_claim(room, df_added_room(t)),
                    df_claim(room, df_left_size(t->f, t->keys, QUERIES)),
                    df_claim(room, df_right_size(t->f, t->keys, t->panel)),
                    df_claim(room, t->a.D * t->panel) };
}

static df_int tiles_of(const backward *w) {
  return df_ceil_div(w->t.a.M / w->parts + 1, w->t.keys);
}

/* Reals that hold the tiles of a part, in whole cache lines. */
static df_int list_size(const backward *w) {
  df_int bytes = tiles_of(w) * (df_int)sizeof(df_tile);
  return df_ceil_div(bytes, DF_ALIGN) * (DF_ALIGN / (df_int)sizeof(df_real));
}

static df_int backward_room(const backward *w) {
  const df_attending *t = &w->t;
  return list_size(w) + scratch_size(t) + w->blocks * block_size(t)
         + tiles_of(w) * tile_size(t);
}

static part open_part(const backward *w, df_int item, df_real **room) {
  const df_attending *t = &w->t;
  df_int index = item % w->parts, M = t->a.M, count = 0;
  part x = { df_head_of(t, item / w->parts), index, index * M / w->parts,
             (index + 1) * M / w->parts, (void *)df_claim(room, list_size(w)) };
  for (df_int key = x.from; key < x.end; key += t->keys)
    x.tiles[count++] = pack_tile(t, x.h, key, df_min(t->keys, x.end - key),
                                 df_claim(room, tile_size(t)));
  return x;
}

/* dq of a block goes to the part's own, or is added to dq itself. `line` is a panel x
** D. */
static void put_queries(const backward *w, const part *x, const block *b, df_real *line) {
  const df_attending *t = &w->t;
  const df_kernels *kernel = df_kernel();
  df_int D = t->a.D, C = t->panel, at = df_dense_token(t, x->h, t->a.N, b->from);
  df_real *mine = w->partial ? w->partial + x->index * t->a.B * t->a.N * t->width : NULL;
  for (df_int i = 0; i < b->n; i += C, at += C * t->width) {
    df_int n = df_min(C, b->n - i);
    if (mine) kernel->transpose(mine + at, t->width, b->dq + i * D, C, D, n);
    else kernel->transpose(line, D, b->dq + i * D, C, D, n);
    for (df_int j = 0; j < n && !mine; j++) {
      df_real *to = t->dq + at + j * t->width;
      kernel->add(to, to, 1, line + j * D, 1, D);
    }
  }
}

/* Queries [query, to) against the keys of a part. */
static void work_blocks(const backward *w, const part *x, df_int query, df_int to,
                        const scratch *s, df_real *room) {
  const df_attending *t = &w->t;
  block blocks[BLOCKS_MOST];
  df_int count = 0, seen[BLOCKS_MOST];
  for (; query < to; query += QUERIES) {
    seen[count] = df_min(x->end, df_keys_seen(t, df_min(query + QUERIES, to) - 1));
    if (seen[count] <= x->from) continue;
    blocks[count++] = open_block(t, x->h, query, df_claim(&room, block_size(t)));
  }
  for (df_int key = x->from; key < x->end; key += t->keys) {
    df_tile k = x->tiles[(key - x->from) / t->keys];
    for (df_int i = 0; i < count; i++) {
      k.used = df_min(k.m, seen[i] - key);
      if (k.used > 0) work_tile(t, x->h, &blocks[i], &k, s, key == x->from);
    }
  }
  for (df_int i = 0; i < count && t->dq; i++) put_queries(w, x, &blocks[i], s->line);
}

static void backward_items(void *context, df_int begin, df_int end) {
  backward *w = context;
  df_int N = w->t.a.N, step = w->blocks * QUERIES;
  df_real *piece = df_workspace_take(&w->room);
  for (df_int item = begin; item < end; item++) {
    df_real *room = piece;
    part x = open_part(w, item, &room);
    scratch s = claim_scratch(&w->t, &room);
    for (df_int query = 0; query < N; query += step)
      work_blocks(w, &x, query, df_min(query + step, N), &s, room);
  }
  df_workspace_give(&w->room, piece);
}

static backward backward_of(df_attending t) {
  df_int parts = df_min(df_min(PARTS, PARTS_ALL / t.a.heads), t.a.M / PART);
  backward w = { .t = t, .parts = df_max(1, parts) };
  df_int blocks = df_min(BLOCKS_MOST, BLOCKS / block_size(&t));
  w.blocks = df_max(1, df_min(blocks, df_ceil_div(t.a.N, QUERIES)));
  return w;
}

df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_attend_kept *kept) {
  df_int size = a->B * a->N * a->heads * a->D;
  if (size == 0) return DF_OK;
  backward w = backward_of(df_attending_of(a, kept));
  w.t.dq = dq, w.t.dk = dk, w.t.dv = dv;
  if (dq && w.parts > 1
      && !(w.partial = df_alloc((size_t)(w.parts * size) * sizeof(df_real))))
    return DF_MEMORY;
  if (w.partial && a->causal) /* a part skips queries that see none of its keys */
    memset(w.partial, 0, (size_t)(w.parts * size) * sizeof(df_real));
  df_int items = a->B * a->heads * w.parts;
  df_code code = df_workspace_open(&w.room, backward_room(&w), items);
  if (code == DF_OK) df_parallel(items, 1, backward_items, &w);
  if (code == DF_OK && w.partial) df_fold(dq, true, w.partial, w.parts, size, size);
  if (code == DF_OK) df_workspace_close(&w.room);
  df_free(w.partial);
  return code;
}
