/* Attention by panels of queries. Scores are computed transposed: keys in rows, queries
** in columns. So a panel of 32 queries (AVX-512) is a dense matrix whose softmax needs no
** sums across vectors. Its layout is that of a packed operand of the next product. */
#include "engine/attention.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "engine/factor.h"
#include "engine/gemm.h"
#include "engine/operand.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define QUERIES  64  /* size of a backward block; all kernels' panels divide it */
#define KEYS     256 /* size of a backward tile, whose scores stay in the first caches */
#define STRIPE   64  /* keys of a mask that are transposed at once */
#define PART     512 /* keys of one head that a thread gets in backward, at least */
#define PARTS    4
#define FORWARDS 256 /* queries of a forward item, for which v is transposed once */

typedef struct attend {
  df_attend a;
  df_attend_kept in;
  df_factors f;
  df_real *y, *softmax, *dq, *dk, *dv;
  df_real *partial; /* parts of dq, each as dq; NULL if there is one part */
  df_int width;     /* heads D, the pitch of dense tokens */
  df_int parts, panel;
  df_real scale;
  df_workspace room;
} attend;

/* Heads are padded to 32 channels, which must not cost what bf16 gains. Two planes run at
** 1.3 to 2 times the rate of reals if padding is less than a quarter, and gain nothing at
** a width of 40. One plane gains if a head fills half a block. The error is then 4e-6 for
** each product, and 6e-6 to 8e-6 for outputs and gradients if scores have a standard
** deviation of 1. */
static df_factors factors_of(const df_attend *a) {
  df_factors f = df_factors_of(a->precision);
  df_int wide = df_half_width(a->D);
  bool pays = f.planes == 2 ? 4 * wide <= 5 * a->D : 2 * a->D > wide;
  return (df_factors){ pays ? f.planes : 0, f.round };
}

static attend attend_of(const df_attend *a, const df_attend_kept *in) {
  return (attend){ .a = *a,
                   .in = *in,
                   .f = factors_of(a),
                   .width = a->heads * a->D,
                   .panel = df_kernel()->panel,
                   .scale = (df_real)(1 / sqrt((double)a->D)) };
}

/* ==== one head ====================================================================== */

typedef struct head {
  df_int sample, index; /* sample in the batch, head in the sample */
} head;

/* Token i of this head. */
static const df_real *token(const attend *t, df_tokens x, head h, df_int i) {
  return x.at + h.sample * x.sample + i * x.token + h.index * t->a.D;
}

/* Token i of this head in a dense array of `count` tokens per sample. */
static df_int dense(const attend *t, head h, df_int count, df_int i) {
  return (h.sample * count + i) * t->width + h.index * t->a.D;
}

/* The place in `softmax` of query i's pair of numbers: one here, one N further. */
static df_int pair(const attend *t, head h, df_int i) {
  return (h.sample * t->a.heads + h.index) * 2 * t->a.N + i;
}

static df_real *claim(df_real **room, df_int reals) {
  df_real *at = *room;
  *room += reals;
  return at;
}

static head head_of(const attend *t, df_int index) {
  return (head){ index / t->a.heads, index % t->a.heads };
}

/* ==== masks ========================================================================= */

/* The number of keys to score for query i. It is at least 1: for a query that sees no
** key, the first one is hidden by its score. */
static df_int seen(const attend *t, df_int i) {
  const df_attend *a = &t->a;
  return a->causal ? df_max(1, df_min(i + 1 + a->M - a->N, a->M)) : a->M;
}

/* Scores before the softmax. Rows are the m keys from `key` on, and columns a panel of n
** queries from `query` on. */
typedef struct scored {
  df_real *at;
  df_int key, m, query, n;
} scored;

/* Scores have keys in rows, so a mask with one row for each query is transposed. */
static df_int mask_room(const attend *t) {
  return t->in.mask.at && t->in.mask.query ? STRIPE * t->panel : 0;
}

/* Adds the mask, transposed. It is divided by `scale`, since the softmax multiplies by
** that. Columns from n on get zeros, because they must stay finite. */
static void add_turned(const attend *t, const scored *s, const df_real *mask,
                       df_real *room) {
  df_int C = t->panel;
  const df_real unscale = 1 / t->scale, *term = room;
  if (s->n < C) memset(room, 0, (size_t)(df_min(s->m, STRIPE) * C) * sizeof *room);
  for (df_int i = 0; i < s->m; i += STRIPE) {
    df_int m = df_min(STRIPE, s->m - i);
    df_kernel()->transpose(room, C, mask + i, t->in.mask.query, s->n, m);
    df_kernel()->mix(s->at + i * C, 1, &unscale, &term, 1, m * C);
  }
}

static void add_mask(const attend *t, head h, const scored *s, df_real *room) {
  df_mask mask = t->in.mask;
  const df_real *at = mask.at + h.sample * mask.sample + h.index * mask.head + s->key;
  if (mask.query) {
    add_turned(t, s, at + s->query * mask.query, room);
    return;
  }
  for (df_int i = 0; i < s->m; i++) {
    df_real *row = s->at + i * t->panel, one = at[i] / t->scale;
    df_kernel()->add(row, row, 1, &one, 0, t->panel);
  }
}

/* Sets the scores of keys that a causal query must not see to -inf. */
static void hide_later(const attend *t, const scored *s) {
  df_int visible = s->query + 1 + t->a.M - t->a.N; /* keys of the first query */
  for (df_int i = df_max(0, visible - s->key); i < s->m; i++) {
    df_int blind = df_min(s->key + i - visible + 1, t->panel);
    for (df_int c = 0; c < blind; c++) s->at[i * t->panel + c] = -(df_real)INFINITY;
  }
}

static void mask_scores(const attend *t, head h, scored s, df_real *room) {
  if (t->in.mask.at) add_mask(t, h, &s, room);
  if (t->a.causal) hide_later(t, &s);
}

/* ==== forward ======================================================================= */

/* The room of one item: v transposed, k, and for each panel its queries, its scores (as
** they are, and as weights) and its y transposed. */
static df_int forward_room(const attend *t) {
  const df_attend *a = &t->a;
  df_int C = t->panel;
  return df_left_size(t->f, a->D, a->M) + df_left_size(t->f, a->M, a->D)
         + df_right_size(t->f, a->D, C) + a->M * C + df_right_size(t->f, a->M, C)
         + a->D * C + 2 * C + mask_room(t);
}

typedef struct operands {
  df_left keys, values; /* M x D; D x M */
} operands;

/* n queries from `from` on, at most a panel. */
static void forward_panel(const attend *t, head h, const operands *o, df_int from,
                          df_int n, df_real *room) {
  const df_kernels *kernel = df_kernel();
  df_int D = t->a.D, M = seen(t, from + n - 1), C = t->panel, at = pair(t, h, from);
  df_real *p = claim(&room, M * C), *turned = claim(&room, D * C);
  df_real *top = claim(&room, C), *share = claim(&room, C);
  df_real *spare = claim(&room, mask_room(t));
  df_real *y = t->y + dense(t, h, t->a.N, from);
  df_right queries = df_right_columns(t->f, claim(&room, df_right_size(t->f, D, C)),
                                      token(t, t->in.q, h, from), t->in.q.token, D, n);
  df_multiply(t->f, p, C, o->keys, queries, false, M, D, C);
  mask_scores(t, h, (scored){ p, 0, M, from, n }, spare);
  kernel->softmax_columns(p, top, share, t->scale, M, C);
  memcpy(t->softmax + at, top, (size_t)n * sizeof *top);
  memcpy(t->softmax + at + t->a.N, share, (size_t)n * sizeof *share);
  df_multiply(t->f, turned, C, o->values, df_right_panel(t->f, room, p, M), false, D, M,
              C);
  kernel->transpose(y, t->width, turned, C, D, n);
  for (df_int i = 0; i < n; i++, y += t->width) kernel->mul(y, y, 1, share + i, 0, D);
}

static void forward_items(void *context, df_int begin, df_int end) {
  attend *t = context;
  const df_attend *a = &t->a;
  df_int each = df_ceil_div(a->N, FORWARDS);
  df_real *piece = df_workspace_take(&t->room);
  for (df_int item = begin; item < end; item++) {
    head h = head_of(t, item / each);
    df_int from = item % each * FORWARDS, to = df_min(from + FORWARDS, a->N);
    df_int M = seen(t, to - 1);
    df_real *room = piece, *values = claim(&room, df_left_size(t->f, a->D, a->M));
    df_real *keys = claim(&room, df_left_size(t->f, a->M, a->D));
    operands o = {
      df_left_rows(t->f, keys, token(t, t->in.k, h, 0), t->in.k.token, M, a->D),
      df_left_turned(t->f, values, token(t, t->in.v, h, 0), t->in.v.token, a->D, M)
    };
    for (; from < to; from += t->panel)
      forward_panel(t, h, &o, from, df_min(t->panel, to - from), room);
  }
  df_workspace_give(&t->room, piece);
}

df_code df_attend_forward(const df_attend *a, df_real *y, df_real *softmax, df_tokens q,
                          df_tokens k, df_tokens v, df_mask mask) {
  attend t = attend_of(a, &(df_attend_kept){ .q = q, .k = k, .v = v, .mask = mask });
  df_int items = a->B * a->heads * df_ceil_div(a->N, FORWARDS);
  t.y = y, t.softmax = softmax;
  if (items == 0) return DF_OK;
  if (df_workspace_open(&t.room, forward_room(&t), items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, forward_items, &t);
  df_workspace_close(&t.room);
  return DF_OK;
}

/* ==== backward ======================================================================
** With s = scale q k^T, p = softmax(s) and y = p v:
**   dv = p^T dy
**   dp = dy v^T
**   ds = scale p (dp - sum(dp p)), where sum(dp p) = sum(dy y)
**   dq = ds k
**   dk = ds^T q
** An item is a part of the keys of one head. No other item adds to their dk and dv. If a
** head has several parts, each has its own dq, and these are added up in order at the
** end. */

/* A block of queries. All arrays have panels of `panel` queries, with zeros after the
** n-th. */
typedef struct block {
  df_int from, n, panels;
  df_right queries[QUERIES], slopes[QUERIES]; /* columns: panels of q and of dy */
  df_right q, dy;                             /* weights: all queries, D columns */
  df_real *top, *share, *mean;                /* one per query */
  df_real *p, *ds;                            /* panels of KEYS x panel */
  df_real *dq;                                /* transposed: panels of D x panel */
  df_real *columns, *weights;                 /* room for the first four */
  df_real *left, *right;                      /* room for p and ds as operands */
} block;

static df_int weights_size(const attend *t) {
  return df_right_size(t->f, QUERIES, t->a.D);
}
static df_int columns_size(const attend *t) {
  return df_right_size(t->f, t->a.D, t->panel);
}
/* All keys of a part are converted once, not for each block of queries. */
static df_int keys_size(const attend *t) {
  return df_left_size(t->f, t->a.M / t->parts + 1, t->a.D);
}
static df_int turned_size(const attend *t) {
  return df_left_size(t->f, t->a.D, t->a.M / t->parts + 1);
}

static df_int backward_room(const attend *t) {
  df_int D = t->a.D, panels = QUERIES / t->panel;
  return turned_size(t) + D * QUERIES + 2 * panels * columns_size(t) + 2 * weights_size(t)
         + 3 * QUERIES + 2 * KEYS * QUERIES + df_left_size(t->f, KEYS, QUERIES)
         + df_right_size(t->f, KEYS, t->panel) + 2 * keys_size(t) + D * t->panel;
}

static void claim_block(const attend *t, block *b, df_real **room) {
  b->columns = claim(room, 2 * QUERIES / t->panel * columns_size(t));
  b->weights = claim(room, 2 * weights_size(t));
  b->dq = claim(room, t->a.D * QUERIES);
  b->top = claim(room, QUERIES), b->share = claim(room, QUERIES);
  b->mean = claim(room, QUERIES);
  b->p = claim(room, KEYS * QUERIES), b->ds = claim(room, KEYS * QUERIES);
  b->left = claim(room, df_left_size(t->f, KEYS, QUERIES));
  b->right = claim(room, df_right_size(t->f, KEYS, t->panel));
}

/* n tokens as panels of columns; and as weights, with zeros from n on. */
static void pack_columns(const attend *t, df_right *to, df_real *room, const df_real *x,
                         df_int ld, const block *b) {
  for (df_int i = 0; i < b->panels; i++, room += columns_size(t)) {
    df_int from = i * t->panel, n = df_min(t->panel, b->n - from);
    to[i] = df_right_columns(t->f, room, x + from * ld, ld, t->a.D, n);
  }
}
static df_right pack_weights(const attend *t, df_real *room, const df_real *x, df_int ld,
                             const block *b) {
  return df_right_rows(t->f, room, x, ld, b->n, b->panels * t->panel, t->a.D);
}

static void fill_block(const attend *t, head h, block *b, df_int from) {
  df_int N = t->a.N, D = t->a.D, at = pair(t, h, from), first = dense(t, h, N, from);
  const df_real *q = token(t, t->in.q, h, from), *dy = t->in.dy + first;
  b->from = from, b->n = df_min(QUERIES, N - from);
  b->panels = df_ceil_div(b->n, t->panel);
  df_real *more = b->columns + QUERIES / t->panel * columns_size(t);
  pack_columns(t, b->queries, b->columns, q, t->in.q.token, b);
  pack_columns(t, b->slopes, more, dy, t->width, b);
  if (t->dk) b->q = pack_weights(t, b->weights, q, t->in.q.token, b);
  if (t->dv) b->dy = pack_weights(t, b->weights + weights_size(t), dy, t->width, b);
  memset(b->top, 0, 3 * QUERIES * sizeof *b->top); /* and share and mean */
  memcpy(b->top, t->in.softmax + at, (size_t)b->n * sizeof *b->top);
  memcpy(b->share, t->in.softmax + at + N, (size_t)b->n * sizeof *b->share);
  for (df_int i = 0; i < b->n; i++)
    b->mean[i] =
        (df_real)df_kernel()->dot(dy + i * t->width, t->in.y + first + i * t->width, D);
}

/* m keys of a part, from `from` on. */
typedef struct tile {
  df_int from, m;
  df_left k, v;   /* m x D */
  df_left turned; /* k transposed: D x m */
} tile;

/* p and ds of a tile's keys and a block's queries, panel by panel. */
static void score_tile(const attend *t, head h, const block *b, const tile *k) {
  const df_kernels *kernel = df_kernel();
  df_int D = t->a.D, C = t->panel;
  for (df_int i = 0; i < b->panels; i++) {
    df_real *p = b->p + i * KEYS * C, *ds = b->ds + i * KEYS * C;
    scored s = { p, k->from, k->m, b->from + i * C, df_min(C, b->n - i * C) };
    df_multiply(t->f, p, C, k->k, b->queries[i], false, k->m, D, C);
    mask_scores(t, h, s, ds); /* ds is written later, so it is room for the mask */
    kernel->softmax_again(p, b->top + i * C, b->share + i * C, t->scale, k->m, C);
    df_multiply(t->f, ds, C, k->v, b->slopes[i], false, k->m, D, C);
    kernel->softmax_back_columns(ds, p, b->mean + i * C, t->scale, k->m, C);
  }
}

/* to (m x D, rows of the dense tokens) += scores (m x n) weights (n x D) */
static void add_keys(const attend *t, df_real *to, df_real *scores, df_right weights,
                     const block *b, df_int m) {
  df_left x = df_left_panels(t->f, b->left, scores, KEYS * t->panel, b->panels, m);
  df_multiply(t->f, to, t->width, x, weights, true, m, b->panels * t->panel, t->a.D);
}

static void work_tile(const attend *t, head h, const block *b, const tile *k,
                      bool first) {
  df_int D = t->a.D, C = t->panel, at = dense(t, h, t->a.M, k->from);
  score_tile(t, h, b, k);
  if (t->dv) add_keys(t, t->dv + at, b->p, b->dy, b, k->m);
  if (t->dk) add_keys(t, t->dk + at, b->ds, b->q, b, k->m);
  for (df_int i = 0; i < b->panels && t->dq; i++) {
    df_right ds = df_right_panel(t->f, b->right, b->ds + i * KEYS * C, k->m);
    df_multiply(t->f, b->dq + i * C * D, C, k->turned, ds, !first, D, k->m, C);
  }
}

/* dq of a block goes to the part's own, or is added to dq itself. `line` is a panel x
** D. */
static void put_queries(const attend *t, head h, const block *b, df_int part,
                        df_real *line) {
  const df_kernels *kernel = df_kernel();
  df_int D = t->a.D, C = t->panel, at = dense(t, h, t->a.N, b->from);
  df_real *mine = t->partial ? t->partial + part * t->a.B * t->a.N * t->width : NULL;
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

/* Keys [from, end) of a head against all its queries. */
static void work_part(const attend *t, head h, df_int part, df_real *room) {
  df_int M = t->a.M, D = t->a.D, from = part * M / t->parts,
         end = (part + 1) * M / t->parts;
  df_tokens tk = t->in.k, tv = t->in.v;
  block b;
  claim_block(t, &b, &room);
  df_real *line = claim(&room, D * t->panel), *turned = claim(&room, turned_size(t));
  df_real *keys = claim(&room, keys_size(t)), *values = claim(&room, keys_size(t));
  const df_real *first = token(t, tk, h, from);
  df_left k = df_left_rows(t->f, keys, first, tk.token, end - from, D), all = { 0 };
  df_left v = df_left_rows(t->f, values, token(t, tv, h, from), tv.token, end - from, D);
  if (t->dq) all = df_left_turned(t->f, turned, first, tk.token, D, end - from);
  for (df_int query = 0; query < t->a.N; query += QUERIES) {
    df_int stop = df_min(end, seen(t, df_min(query + QUERIES, t->a.N) - 1));
    if (stop <= from) continue;
    fill_block(t, h, &b, query);
    for (df_int key = from; key < stop; key += KEYS) {
      tile now = { key, df_min(KEYS, stop - key), df_left_below(t->f, k, key - from),
                   df_left_below(t->f, v, key - from), all };
      if (t->dq) now.turned = df_left_from(t->f, all, key - from);
      work_tile(t, h, &b, &now, key == from);
    }
    if (t->dq) put_queries(t, h, &b, part, line);
  }
}

static void backward_items(void *context, df_int begin, df_int end) {
  attend *t = context;
  df_real *piece = df_workspace_take(&t->room);
  for (df_int item = begin; item < end; item++)
    work_part(t, head_of(t, item / t->parts), item % t->parts, piece);
  df_workspace_give(&t->room, piece);
}

df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_attend_kept *kept) {
  attend t = attend_of(a, kept);
  df_int size = a->B * a->N * t.width;
  if (size == 0) return DF_OK;
  t.dq = dq, t.dk = dk, t.dv = dv;
  t.parts = df_max(1, df_min(PARTS, a->M / PART));
  if (t.dq && t.parts > 1
      && !(t.partial = df_alloc((size_t)(t.parts * size) * sizeof(df_real))))
    return DF_MEMORY;
  if (t.partial && a->causal) /* a part skips queries that see none of its keys */
    memset(t.partial, 0, (size_t)(t.parts * size) * sizeof(df_real));
  df_int items = a->B * a->heads * t.parts;
  df_code code = df_workspace_open(&t.room, backward_room(&t), items);
  if (code == DF_OK) df_parallel(items, 1, backward_items, &t);
  if (code == DF_OK && t.partial) df_fold(dq, true, t.partial, t.parts, size, size);
  if (code == DF_OK) df_workspace_close(&t.room);
  df_free(t.partial);
  return code;
}
