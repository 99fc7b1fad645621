/* Scores of tiles, with masks. A mask becomes a tile that is added, where it has any
** effect. */
#include "engine/attend.h"

#include <math.h>
#include <string.h>

#include "engine/operand.h"

#define LOG2_E 1.4426950408889634

/* Keys of a tile, at most. A tile of scores is then 8 KB in AVX2, and its k and v take
** 200 KB of the second cache at a width of 256. Planes are converted for each tile, by
** calls with a cost of their own, so these tiles are larger. */
#define KEYS        128
#define KEYS_WIDE   96 /* if heads are wider than KEYS */
#define KEYS_PLANES 256

#define KEYS_MANY 192

/* AMX pads heads to 32 channels, and few keys too. That must not cost what bf16 gains.
** One plane gains if a head fills half a block. Two planes run at 1.3 to 2 times the rate
** of reals if a head fills four fifths. With many keys they also gain at widths of 40
** (1.2 times) and of 72 (1.6 times), and lose at 20. The error is then 4e-6 for each
** product, and 6e-6 to 8e-6 for outputs and gradients if scores have a standard deviation
** of 1. */
static bool two_planes_pay(const df_attend *a, df_int wide) {
  if (4 * wide <= 5 * a->D) return true;
  return a->M >= KEYS_MANY && a->D > 32 && 5 * wide <= 8 * a->D;
}

static df_factors factors_of(const df_attend *a) {
  df_factors f = df_factors_of(a->precision);
  df_int wide = df_factor_width(a->D);
  bool pays = f.planes == 2 ? two_planes_pay(a, wide) : 2 * a->D > wide;
  return (df_factors){ pays ? f.planes : 0, f.round };
}

df_attending df_attending_of(const df_attend *a, const df_attend_kept *in) {
  df_factors f = factors_of(a);
  df_int most = f.planes ? KEYS_PLANES : a->D > KEYS ? KEYS_WIDE : KEYS;
  return (df_attending){ .a = *a,
                         .in = *in,
                         .f = f,
                         .width = a->heads * a->D,
                         .panel = df_kernel()->panel,
                         .keys = df_ceil_div(a->M, df_ceil_div(a->M, most)),
                         .scale = (df_real)(1 / sqrt((double)a->D)),
                         .exponent = (df_real)(LOG2_E / sqrt((double)a->D)) };
}

/* ==== masks ========================================================================= */

df_int df_added_room(const df_attending *t) {
  return t->in.mask.at || t->a.causal ? t->keys * t->panel : 0;
}

/* Columns from n on get zeros, because they must stay finite. */
static void put_mask(const df_attending *t, df_head h, const df_tile *k,
                     const df_queries *q, df_real *to) {
  const df_kernels *kernel = df_kernel();
  const df_real factor = (df_real)LOG2_E;
  df_mask mask = t->in.mask;
  df_int C = t->panel;
  const df_real *at = mask.at + h.sample * mask.sample + h.index * mask.head + k->key;
  if (mask.query) {
    if (q->n < C) memset(to, 0, (size_t)(k->m * C) * sizeof *to);
    kernel->transpose(to, C, at + q->query * mask.query, mask.query, q->n, k->m);
  } else {
    for (df_int i = 0; i < k->m; i++)
      for (df_int c = 0; c < C; c++) to[i * C + c] = at[i];
  }
  kernel->mul(to, to, 1, &factor, 0, k->m * C);
}

/* Hides the keys that a causal query must not see. `visible` keys of the tile are seen by
** the first query. */
static void hide_later(const df_attending *t, const df_tile *k, df_int visible,
                       df_real *to) {
  for (df_int i = df_max(0, visible); i < k->m; i++) {
    df_int blind = df_min(i - visible + 1, t->panel);
    for (df_int c = 0; c < blind; c++) to[i * t->panel + c] = -(df_real)INFINITY;
  }
}

/* Returns what is added to the scores of a tile; NULL: nothing. */
static const df_real *added(const df_attending *t, df_head h, const df_tile *k,
                            const df_queries *q, df_real *room) {
  df_int visible = q->query + 1 + t->a.M - t->a.N - k->key;
  bool hides = t->a.causal && visible < k->m;
  if (t->in.mask.at) put_mask(t, h, k, q, room);
  else if (hides) memset(room, 0, (size_t)(k->m * t->panel) * sizeof *room);
  else return NULL;
  if (hides) hide_later(t, k, visible, room);
  return room;
}

/* ==== products ====================================================================== */

df_scores df_tile_product(const df_attending *t, df_left x, df_right w, const df_tile *k,
                          df_real *y) {
  df_int D = t->a.D;
  df_scores s = { .y = y, .w = w.at, .m = k->m, .used = k->used, .C = D };
  if (t->f.planes) df_multiply_panel(t->f, y, x, w, false, k->used, D);
  else s.x = x.at;
  return s;
}

df_scores df_tile_scores(const df_attending *t, df_head h, const df_tile *k,
                         const df_queries *q, df_real *y, df_real *room) {
  df_scores s = df_tile_product(t, k->k, q->at, k, y);
  s.factor = t->exponent;
  s.add = added(t, h, k, q, room);
  return s;
}
