/* The common parts of attention's forward and backward pass: heads, tiles, masks, scores.
** A tile is a block of keys by a panel of queries. Its scores are transposed: keys are in
** rows, queries in columns. */
#ifndef df_attend_h
#define df_attend_h

#include "engine/attention.h"
#include "engine/factor.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

typedef struct df_attending {
  df_attend a;
  df_attend_kept in;
  df_factors f;
  df_real *y, *softmax, *dq, *dk, *dv;
  df_int width;            /* heads D, the pitch of dense tokens */
  df_int panel, keys;      /* queries and keys of a tile; the last may have fewer keys */
  df_real scale, exponent; /* the factor of scores, and log2(e) times that */
} df_attending;

df_attending df_attending_of(const df_attend *a, const df_attend_kept *in);

/* ---- one head ---------------------------------------------------------------------- */

typedef struct df_head {
  df_int sample, index; /* sample in the batch, head in the sample */
} df_head;

static inline df_head df_head_of(const df_attending *t, df_int index) {
  return (df_head){ index / t->a.heads, index % t->a.heads };
}

/* Token i of this head. */
static inline const df_real *df_token(const df_attending *t, df_tokens x, df_head h,
                                      df_int i) {
  return x.at + h.sample * x.sample + i * x.token + h.index * t->a.D;
}

/* Token i of this head in a dense array of `count` tokens per sample. */
static inline df_int df_dense_token(const df_attending *t, df_head h, df_int count,
                                    df_int i) {
  return (h.sample * count + i) * t->width + h.index * t->a.D;
}

/* The place in `softmax` of query i's pair of numbers: one here, one N further. */
static inline df_int df_softmax_pair(const df_attending *t, df_head h, df_int i) {
  return (h.sample * t->a.heads + h.index) * 2 * t->a.N + i;
}

/* The number of keys to score for query i. It is at least 1: for a query that sees no
** key, the first one is hidden by its score. */
static inline df_int df_keys_seen(const df_attending *t, df_int i) {
  const df_attend *a = &t->a;
  return a->causal ? df_max(1, df_min(i + 1 + a->M - a->N, a->M)) : a->M;
}

static inline df_real *df_claim(df_real **room, df_int reals) {
  df_real *at = *room;
  *room += reals;
  return at;
}

/* ---- tiles ------------------------------------------------------------------------- */

/* m keys from `key` on. Queries see the first `used` of them, or fewer. */
typedef struct df_tile {
  df_int key, m, used;
  df_left k, v;   /* strips of keys; of values, transposed in the forward pass */
  df_left turned; /* strips of k transposed, in the backward pass */
} df_tile;

/* n queries from `query` on, at most a panel. */
typedef struct df_queries {
  df_int query, n;
  df_right at; /* as columns */
} df_queries;

/* Reals that df_tile_scores needs as room for what is added to scores. */
df_int df_added_room(const df_attending *t);

/* The exponents of a tile for score_powers or score_again, which write them to y. The
** caller sets `shift`. */
df_scores df_tile_scores(const df_attending *t, df_head h, const df_tile *k,
                         const df_queries *q, df_real *y, df_real *room);

/* x w for those kernels: computed by them from strips, or here from planes. */
df_scores df_tile_product(const df_attending *t, df_left x, df_right w, const df_tile *k,
                          df_real *y);

#endif
