/* Attention by blocks of queries: the scores of a block against all keys stay in cache,
** between two products of our own kernel. Forward, a task is a block of one head of one
** sample; backward it is the whole head, since all its queries add to dk and dv. */
#include "engine/attention.h"

#include <math.h>

#include "base/pool.h"
#include "engine/gemm.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define QUERIES 64 /* of a block */

/* One head of one sample. */
typedef struct head {
  const df_real *q, *k, *v, *dy;
  df_real *y, *dq, *dk, *dv;
} head;

typedef struct attend {
  df_attend a;
  head all;
  df_int width; /* heads D, from a token to the next */
  df_real scale;
  df_workspace room;
} attend;

static attend attend_of(const df_attend *a, head all) {
  return (attend){ .a = *a,
                   .all = all,
                   .width = a->heads * a->D,
                   .scale = (df_real)(1 / sqrt((double)a->D)) };
}

static df_real *moved(df_real *p, df_int by) { return p ? p + by : NULL; }

static head head_at(const attend *t, df_int index) {
  const df_attend *a = &t->a;
  df_int b = index / a->heads, at = index % a->heads * a->D;
  df_int n = b * a->N * t->width + at, m = b * a->M * t->width + at;
  const head *h = &t->all;
  return (head){ .q = h->q + n,
                 .k = h->k + m,
                 .v = h->v + m,
                 .dy = h->dy + n,
                 .y = moved(h->y, n),
                 .dq = moved(h->dq, n),
                 .dk = moved(h->dk, m),
                 .dv = moved(h->dv, m) };
}

/* C x K packed, element (c, k) at w[c sc + k sk] */
static df_real *pack(const attend *t, df_real **room, const df_real *w, df_int C,
                     df_int sc, df_int K, df_int sk) {
  df_real *packed = *room;
  df_int panel = df_kernel()->panel;
  *room += df_packed_size(C, K);
  for (df_int k = 0; k < K; k += panel)
    df_pack_panel(packed + k * C, w + k * sk, C, sc, df_min(panel, K - k), sk,
                  t->a.round);
  return packed;
}

static df_real *claim(df_real **room, df_int reals) {
  df_real *at = *room;
  *room += reals;
  return at;
}

/* y (m x K) = or += x (m x C) W */
static void product(df_real *y, df_int ldy, const df_real *x, df_int ldx,
                    const df_real *packed, bool accumulate, df_int m, df_int C,
                    df_int K) {
  df_int none = 0;
  df_kernel()->rows(y, ldy, x, ldx, &none, 1, packed, NULL, NULL, 0, accumulate, m, C, K);
}

/* n tokens of one head, as the products want them: where they are, or rounded copies. */
static const df_real *tokens(const attend *t, df_real *copy, const df_real *x, df_int n,
                             df_int *ld) {
  *ld = t->a.round ? t->a.D : t->width;
  for (df_int i = 0; i < n && t->a.round; i++)
    df_kernel()->round_bf16(copy + i * t->a.D, x + i * t->width, t->a.D);
  return t->a.round ? copy : x;
}

/* p (n x M) = softmax(scale q k^T) for n queries */
static void probabilities(const attend *t, df_real *p, const df_real *q, df_int ldq,
                          const df_real *packed_k, df_int n) {
  df_int M = t->a.M;
  product(p, M, q, ldq, packed_k, false, n, t->a.D, M);
  for (df_int i = 0; i < n; i++) df_kernel()->softmax(p + i * M, p + i * M, t->scale, M);
}

static void round_block(const attend *t, df_real *p, df_int n) {
  if (t->a.round) df_kernel()->round_bf16(p, p, n * t->a.M);
}

/* ==== forward ======================================================================= */

static df_int forward_room(const df_attend *a) {
  return df_packed_size(a->D, a->M) + df_packed_size(a->M, a->D)
         + QUERIES * (a->M + a->D);
}

static void forward_items(void *context, df_int begin, df_int end) {
  attend *t = context;
  const df_attend *a = &t->a;
  df_int blocks = df_ceil_div(a->N, QUERIES), ldq;
  df_real *piece = df_workspace_take(&t->room);
  for (df_int item = begin; item < end; item++) {
    df_int from = item % blocks * QUERIES, n = df_min(QUERIES, a->N - from);
    head h = head_at(t, item / blocks);
    df_real *room = piece;
    df_real *keys = pack(t, &room, h.k, a->D, 1, a->M, t->width);
    df_real *values = pack(t, &room, h.v, a->M, t->width, a->D, 1);
    df_real *p = claim(&room, QUERIES * a->M);
    const df_real *q = tokens(t, room, h.q + from * t->width, n, &ldq);
    probabilities(t, p, q, ldq, keys, n);
    round_block(t, p, n);
    product(h.y + from * t->width, t->width, p, a->M, values, false, n, a->M, a->D);
  }
  df_workspace_give(&t->room, piece);
}

df_code df_attend_forward(const df_attend *a, df_real *y, const df_real *q,
                          const df_real *k, const df_real *v) {
  attend t = attend_of(a, (head){ .q = q, .k = k, .v = v, .dy = q, .y = y });
  df_int items = a->B * a->heads * df_ceil_div(a->N, QUERIES);
  if (items == 0) return DF_OK;
  if (df_workspace_open(&t.room, forward_room(a), items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, forward_items, &t);
  df_workspace_close(&t.room);
  return DF_OK;
}

/* ==== backward ====================================================================== */

static df_int backward_room(const df_attend *a) {
  return 2 * df_packed_size(a->D, a->M) + df_packed_size(a->M, a->D) + 3 * QUERIES * a->M
         + 2 * QUERIES * a->D + df_packed_size(QUERIES, a->D);
}

/* to (M x D) += p^T x for a block of n queries: dv from p and dy, dk from ds and q */
static void add_turned(const attend *t, df_real *to, const df_real *p, const df_real *x,
                       df_int n, df_real *room) {
  df_real *turned = claim(&room, QUERIES * t->a.M); /* M x n */
  df_kernel()->transpose(turned, QUERIES, p, t->a.M, n, t->a.M);
  df_real *packed = pack(t, &room, x, n, t->width, t->a.D, 1);
  product(to, t->width, turned, QUERIES, packed, true, t->a.M, n, t->a.D);
}

/* y = p v, p = softmax(s), s = scale q k^T; so dv = p^T dy, dp = dy v^T,
** ds = scale p (dp - sum(dp p)), dq = ds k, dk = ds^T q. */
static void head_backward(const attend *t, const head *h, df_real *room) {
  const df_attend *a = &t->a;
  df_int ldq, ldy, M = a->M, D = a->D;
  df_real *keys = pack(t, &room, h->k, D, 1, M, t->width);
  df_real *values = pack(t, &room, h->v, D, 1, M, t->width);
  df_real *keys_back = pack(t, &room, h->k, M, t->width, D, 1);
  df_real *p = claim(&room, QUERIES * M), *ds = claim(&room, QUERIES * M);
  df_real *copy_q = claim(&room, QUERIES * D), *copy_dy = claim(&room, QUERIES * D);
  for (df_int from = 0; from < a->N; from += QUERIES) {
    df_int n = df_min(QUERIES, a->N - from), at = from * t->width;
    const df_real *q = tokens(t, copy_q, h->q + at, n, &ldq);
    const df_real *dy = tokens(t, copy_dy, h->dy + at, n, &ldy);
    probabilities(t, p, q, ldq, keys, n);
    product(ds, M, dy, ldy, values, false, n, D, M);
    for (df_int i = 0; i < n; i++)
      df_kernel()->softmax_back(ds + i * M, 0, ds + i * M, p + i * M, t->scale, M);
    round_block(t, p, n);
    round_block(t, ds, n);
    if (h->dv) add_turned(t, h->dv, p, h->dy + at, n, room);
    if (h->dk) add_turned(t, h->dk, ds, h->q + at, n, room);
    if (h->dq) product(h->dq + at, t->width, ds, M, keys_back, true, n, M, D);
  }
}

static void backward_items(void *context, df_int begin, df_int end) {
  attend *t = context;
  df_real *piece = df_workspace_take(&t->room);
  for (df_int item = begin; item < end; item++) {
    head h = head_at(t, item);
    head_backward(t, &h, piece);
  }
  df_workspace_give(&t->room, piece);
}

df_code df_attend_backward(const df_attend *a, df_real *dq, df_real *dk, df_real *dv,
                           const df_real *dy, const df_real *q, const df_real *k,
                           const df_real *v) {
  attend t = attend_of(a, (head){ q, k, v, dy, NULL, dq, dk, dv });
  df_int items = a->B * a->heads;
  if (items == 0 || a->N == 0) return DF_OK;
  if (df_workspace_open(&t.room, backward_room(a), items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, backward_items, &t);
  df_workspace_close(&t.room);
  return DF_OK;
}
