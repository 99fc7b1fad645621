/* A block in reals: its rows lie in strips or at an odd pitch, and stay in the second
** cache. Each panel of columns comes into the first cache, and meets all of them. */
#include "engine/gemm_block.h"

#include "engine/panel.h"
#include "kernels/kernels.h"

#define LAYER DF_GEMM_LAYER
/* Rows and columns of a block of reals. Each element of a panel meets so many rows, and
** each copied element of the rows so many columns. 192 x 256 reals are 192 KB. */
#define ROWS_MOST     192
#define COLUMNS_MOST  512
#define COLUMNS_LEAST 128
/* The same in bf16, whose panels are packed before they are multiplied. */
#define PAIRS_ROWS    112
#define PAIRS_COLUMNS 128

/* `all` in equal pieces of at most `most`, a multiple of `step`. */
static df_int piece(df_int all, df_int most, df_int step) {
  df_int steps = df_ceil_div(all, step), pieces = df_ceil_div(steps, most / step);
  return df_ceil_div(steps, pieces) * step;
}

df_gemm_cut df_gemm_cut_of(df_factors f, df_int m, df_int n, df_int wanted) {
  const df_kernels *kernel = df_kernel();
  if (f.planes) return (df_gemm_cut){ PAIRS_ROWS, PAIRS_COLUMNS };
  df_int rows = piece(m, ROWS_MOST, kernel->height);
  df_int across = df_ceil_div(wanted, df_ceil_div(m, rows));
  df_int most = df_max(COLUMNS_LEAST, df_min(COLUMNS_MOST, n / across));
  return (df_gemm_cut){ rows, piece(n, most, kernel->panel) };
}

df_int df_gemm_room(df_factors f, df_gemm_cut cut) {
  df_int columns = f.planes ? cut.n : df_kernel()->panel;
  return df_left_size(f, cut.m, LAYER) + df_right_size(f, LAYER, columns);
}

/* A layer of a block: rows [at, at + deep) of b. */
typedef struct layer {
  df_int at, deep;
  const df_real *x, *w;
  bool accumulate;
} layer;

static layer layer_of(const df_gemm_block *b, df_int at) {
  return (layer){ at, df_min(LAYER, b->k - at),
                  b->a.at + at * (b->a.turned ? b->a.ld : 1),
                  b->b.at + at * (b->b.turned ? 1 : b->b.ld), b->accumulate || at > 0 };
}

/* ==== bf16 ========================================================================== */

static void add_pairs(const df_gemm_block *b, const layer *l, df_real *room,
                      df_real *packed) {
  df_right right =
      b->b.turned ? df_right_columns(b->f, packed, l->w, b->b.ld, l->deep, b->n)
                  : df_right_rows(b->f, packed, l->w, b->b.ld, l->deep, l->deep, b->n);
  df_left left = (b->a.turned ? df_left_turned : df_left_rows)(b->f, room, l->x, b->a.ld,
                                                               b->m, l->deep);
  df_multiply(b->f, b->c, b->ldc, left, right, l->accumulate, b->m, l->deep, b->n);
}

/* ==== reals ========================================================================= */

/* A strip is read in order, and copied rows lie at an odd pitch. So no power of two in
** the matrix puts the rows of a register block into the same lines of a cache. */
static df_left copy_rows(const df_gemm_block *b, const layer *l, df_real *room) {
  const df_kernels *kernel = df_kernel();
  if (!b->a.turned) return df_left_copied(b->f, room, l->x, b->a.ld, b->m, l->deep);
  df_int h = kernel->height, reals = df_ceil_div(b->m, h) * h * l->deep;
  kernel->copy_strips(room, l->x, b->a.ld, l->deep, b->m);
  if (b->f.round) kernel->round_bf16(room, room, reals);
  return (df_left){ room, h, 0 };
}

/* c = or += the rows times a panel of n columns. */
static void add_panel(const df_gemm_block *b, const layer *l, df_left x,
                      const df_real *packed, df_real *c, df_int n) {
  const df_kernels *kernel = df_kernel();
  const df_int none = 0, h = kernel->height;
  const df_real *rows = x.at;
  if (!b->a.turned) {
    kernel->rows(c, b->ldc, rows, x.ld, &none, 1, packed, NULL, NULL, 0, l->accumulate,
                 b->m, l->deep, n);
    return;
  }
  for (df_int i = 0; i < b->m; i += h)
    kernel->rows_turned(c + i * b->ldc, b->ldc, rows + i * l->deep, h, packed,
                        l->accumulate, df_min(h, b->m - i), l->deep, n);
}

/* Packs n columns of `deep` rows of b. */
static void pack_columns(df_real *packed, const df_matrix *b, const df_real *at,
                         df_int deep, df_int n, bool round) {
  const df_kernels *kernel = df_kernel();
  df_int panel = kernel->panel;
  if (!b->turned) {
    kernel->pack_weights(packed, at, 1, 0, deep, b->ld, n, 1);
    if (round) kernel->round_bf16(packed, packed, df_ceil_div(n, panel) * panel * deep);
    return;
  }
  for (df_int j = 0; j < n; j += panel, packed += panel * deep)
    df_pack_panel(packed, at + j * b->ld, deep, 1, df_min(panel, n - j), b->ld, round);
}

static void add_reals(const df_gemm_block *b, const layer *l, df_real *room,
                      df_real *packed) {
  df_int panel = df_kernel()->panel;
  df_left rows = copy_rows(b, l, room);
  for (df_int j = 0; j < b->n; j += panel) {
    df_int n = df_min(panel, b->n - j);
    const df_real *ready = packed;
    if (b->packed) ready = b->packed + l->at * b->pitch + (b->column + j) * l->deep;
    else
      pack_columns(packed, &b->b, l->w + j * (b->b.turned ? b->b.ld : 1), l->deep, n,
                   b->f.round);
    add_panel(b, l, rows, ready, b->c + j, n);
  }
}

void df_gemm_block_run(const df_gemm_block *b, df_gemm_cut cut, df_real *room) {
  df_real *packed = room + df_left_size(b->f, cut.m, LAYER);
  for (df_int at = 0; at < b->k; at += LAYER) {
    layer l = layer_of(b, at);
    (b->f.planes ? add_pairs : add_reals)(b, &l, room, packed);
  }
}

void df_gemm_pack(const df_gemm_block *b, df_int at) {
  layer l = layer_of(b, at);
  pack_columns(b->packed + at * b->pitch + b->column * l.deep, &b->b, l.w, l.deep, b->n,
               b->f.round);
}
