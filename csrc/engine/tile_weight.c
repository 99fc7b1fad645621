/* dW as products of bf16 over pixels: dy turned (K rows of pixels) times x as pairs of
** pixels, a column to a channel. In flat rows a tap moves the pairs by a constant; since
** that may be odd, there are pairs that begin at even and at odd pixels. The pixels are
** cut into parts, by shape, folded in order. */
#include "engine/tile_weight.h"

#include <string.h>

#include "base/pool.h"
#include "engine/flat.h"
#include "engine/gemm.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define PART_PIXELS  1024 /* at least so many pixels in a part, where they are cut */
#define ITEMS_WANTED 8    /* enough for a few threads */
/* A block's pixels: more of them, and dw (2.4 MB where C = K = 256) passes the caches less
** often; fewer, and a panel of pairs stays in the first. 512 is 6 % faster than 256; of a
** 1 x 1 kernel, whose dw is small, 256 are a fifth faster than 512. */
#define BLOCK_PIXELS 512
#define ROWS_BLOCK   256
#define FOLD_GRAIN   8192

#define LINES_MAX 128

typedef struct gradient {
  df_conv c;
  df_flat flat;
  const df_real *dy;
  df_real *dw; /* of all pixels, or `parts` of them */
  bool accumulate;
  bool rows;            /* a 1 x 1 kernel: pixels are rows, x is plain */
  df_int blocks;        /* of pixels */
  df_int parts, groups; /* of blocks; of rows of dw */
  bool by_lines;        /* lines of dy lie without what is between them in flat rows */
  df_int deep, most;    /* pixels summed at a time: a line or all; of the largest block */
  df_int tall;          /* pixels that its pairs hold */
  df_int ld, low;       /* of turned dy: from a row to the next, to the low plane */
  df_int plane, panel; /* bf16 of a panel's plane of pairs; of its planes, even and odd */
  df_workspace room;   /* a copy of x | dy turned | pairs */
} gradient;

/* What an item works: rows [k, k + K) of dw (that of its part), a block after the other. */
typedef struct share {
  df_int k, K;
  df_real *dw;
  bool accumulate;
  uint16_t *copy, *dy, *pairs;
} share;

/* bf16 of each piece of room; of dy for K rows, and what products may read behind them. */
static df_int copied(const gradient *g) {
  return g->rows ? 0 : df_ceil_div(df_flat_room(&g->flat), 32) * 32;
}
static df_int turned(const gradient *g, df_int K) { return (K + 31) * g->ld; }
static df_int paired(const gradient *g) {
  return df_ceil_div(g->c.C, DF_PANEL) * g->panel;
}

/* ==== one block of pixels =========================================================== */

static void turn(const gradient *g, const share *s, df_int at, df_int from,
                 df_int pixels) {
  df_kernel()->turn_planes(s->dy + at, g->ld, g->low, g->dy + from * g->c.K + s->k,
                           g->c.K, pixels, s->K);
}

/* dy of a block, K rows of `most` pixels; 0 where there is no output. */
static void turn_dy(const gradient *g, const share *s, const df_block *b) {
  const df_conv *c = &g->c;
  df_int from = (b->n * c->P + b->p) * c->Q, pixels = b->images * b->lines * c->Q;
  if (g->by_lines && g->deep == c->Q && pixels == g->most) {
    turn(g, s, 0, from, pixels);
    return;
  }
  memset(s->dy, 0, (size_t)(s->K * g->ld) * sizeof *s->dy);
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < b->lines; j++, from += c->Q) {
      df_int flat = i * g->flat.image + j * g->flat.line;
      turn(g, s, g->by_lines ? (i * b->lines + j) * g->deep : flat, from, c->Q);
    }
}

/* Pairs of all channels; the odd ones begin a pixel later. */
static void pair_x(const gradient *g, uint16_t *to, const uint16_t *x, df_int pixels) {
  for (df_int odd = 0; odd < 2; odd++)
    for (df_int plane = 0; plane < g->flat.planes; plane++)
      df_kernel()->pair_planes(to + (odd * g->flat.planes + plane) * g->plane, g->panel,
                               x + odd * g->flat.pixel + plane * g->flat.low,
                               g->flat.pixel, pixels - odd, df_half_width(g->c.C),
                               g->tall);
}

/* Where the pairs begin that a kernel's tap meets from flat row `row` on. */
static df_int pairs_at(const gradient *g, df_int row) {
  return row % 2 * g->flat.planes * g->plane + row / 2 * 2 * DF_PANEL;
}

/* dw[k][t][c] = or += sum over the block's pixels. */
static void add_products(const gradient *g, const share *s, const df_block *b) {
  const df_conv *c = &g->c;
  df_int tap[LINES_MAX] = { 0 }, w_tap[LINES_MAX];
  df_pairs p = { .m = s->K,
                 .K = c->C,
                 .C = g->deep,
                 .ldy = c->R * c->S * c->C,
                 .x = s->dy,
                 .ldx = g->ld,
                 .x_low = g->low,
                 .tap = tap,
                 .taps = g->by_lines ? b->images * b->lines : 1,
                 .w = s->pairs,
                 .w_tap = w_tap,
                 .panel = g->panel,
                 .w_low = g->low ? g->plane : 0,
                 .accumulate = s->accumulate };
  for (df_int i = 1; i < p.taps; i++) tap[i] = i * g->deep;
  for (df_int t = 0; t < c->R * c->S; t++) {
    df_int at = g->rows ? 0 : df_flat_tap(&g->flat, t / c->S, t % c->S);
    for (df_int i = 0; i < p.taps; i++) {
      df_int image = i / b->lines, line = i % b->lines;
      w_tap[i] = pairs_at(g, at + image * g->flat.image + line * g->flat.line);
    }
    p.y = s->dw + t * c->C;
    df_kernel()->pairs(&p);
  }
}

static void add_block(const gradient *g, const share *s, df_int index) {
  df_block b = df_block_at(&g->flat.blocks, index);
  const uint16_t *x = df_flat_rows(&g->flat, &b, s->copy);
  turn_dy(g, s, &b);
  pair_x(g, s->pairs, x, df_flat_count(&g->flat, &b) + df_flat_reach(&g->flat));
  add_products(g, s, &b);
}

/* The same for rows of x, which are paired as they lie. */
static void add_rows(const gradient *g, const share *s, df_int index) {
  const df_conv *c = &g->c;
  df_int all = c->B * c->P * c->Q, row = index * all / g->blocks;
  df_int m = (index + 1) * all / g->blocks - row;
  if (m < g->most) memset(s->dy, 0, (size_t)(s->K * g->ld) * sizeof *s->dy);
  turn(g, s, 0, row, m);
  df_kernel()->pair_rows(s->pairs, g->panel, g->low ? g->plane : 0,
                         g->flat.x.at + row * c->C, c->C, m, c->C, g->most);
  add_products(g, s, &(df_block){ .images = 1, .lines = 1 });
}

/* ==== all of them =================================================================== */

static df_int bands(const gradient *g) { return df_ceil_div(g->c.K, DF_PANEL); }

static void run_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  const df_conv *c = &g->c;
  df_int row = c->R * c->S * c->C;
  df_real *piece = df_workspace_take(&g->room);
  for (df_int item = begin; item < end; item++) {
    df_int part = item / g->groups, group = item % g->groups;
    df_int from = part * g->blocks / g->parts, to = (part + 1) * g->blocks / g->parts;
    share s = { .k = group * bands(g) / g->groups * DF_PANEL, .copy = (void *)piece };
    s.K = df_min((group + 1) * bands(g) / g->groups * DF_PANEL, c->K) - s.k;
    s.dw = g->dw + (part * c->K + s.k) * row;
    s.dy = s.copy + copied(g), s.pairs = s.dy + turned(g, s.K);
    for (df_int i = from; i < to; i++) {
      s.accumulate = i > from || (g->parts == 1 && g->accumulate);
      (g->rows ? add_rows : add_block)(g, &s, i);
    }
  }
  df_workspace_give(&g->room, piece);
}

static df_code run(gradient *g) {
  df_int items = g->parts * g->groups;
  df_int K = df_ceil_div(bands(g), g->groups) * DF_PANEL;
  df_int halves = copied(g) + turned(g, K) + paired(g);
  if (df_workspace_open(&g->room, df_ceil_div(halves, 2), items) != DF_OK)
    return DF_MEMORY;
  df_parallel(items, 1, run_items, g);
  df_workspace_close(&g->room);
  return DF_OK;
}

typedef struct folding {
  df_real *dw;
  bool accumulate;
  const df_real *parts;
  df_int count, size;
} folding;

static void fold_items(void *context, df_int begin, df_int end) {
  const folding *f = context;
  df_fold(f->dw + begin, f->accumulate, f->parts + begin, f->count, f->size, end - begin);
}

/* Each part's gradient apart, then their sum. */
static df_code run_parts(gradient *g) {
  df_int size = g->c.K * g->c.R * g->c.S * g->c.C;
  df_workspace partials;
  if (df_workspace_open(&partials, g->parts * size, 1) != DF_OK) return DF_MEMORY;
  folding f = { g->dw, g->accumulate, partials.base, g->parts, size };
  g->dw = partials.base;
  df_code code = run(g);
  if (code == DF_OK) df_parallel(size, FOLD_GRAIN, fold_items, &f);
  df_workspace_close(&partials);
  return code;
}

static df_int rounded(df_int pixels) {
  return df_ceil_div(pixels, df_kernel()->pairs_step) * df_kernel()->pairs_step;
}

/* Flat rows of 7 lines of 7 pixels in 2 images, say, are 119 for 98 outputs; lines that
** are summed apart are 14 of 8, where pairs come in steps of 2: the shorter way. */
static void cut_blocks(gradient *g) {
  df_flat_open(&g->flat, BLOCK_PIXELS);
  df_int lines = g->flat.blocks.images * g->flat.blocks.lines;
  df_int reach = df_flat_reach(&g->flat), most = df_flat_most(&g->flat);
  g->blocks = g->flat.blocks.count;
  g->deep = rounded(g->c.Q);
  g->by_lines = lines <= LINES_MAX && lines * g->deep <= rounded(most);
  if (!g->by_lines) g->deep = rounded(most);
  g->most = g->by_lines ? lines * g->deep : g->deep;
  g->tall = (rounded(most) + g->deep + reach + 1) / 2 * 2;
}

/* From a row of turned dy to the next: never a multiple of 128 bytes, which would put the
** rows of a register block into few lines of the cache (a fifth of the rate). */
static df_int pitch(df_int halves) {
  df_int lines = df_ceil_div(halves, 32);
  return (lines + (lines % 2 == 0)) * 32;
}

static void cut(gradient *g) {
  const df_conv *c = &g->c;
  df_int pixels = c->B * c->P * c->Q;
  if (g->rows) {
    g->blocks = df_ceil_div(pixels, ROWS_BLOCK);
    g->most = g->deep = g->tall = rounded(df_min(pixels, ROWS_BLOCK));
  } else {
    cut_blocks(g);
  }
  g->ld = pitch(g->most * g->flat.planes);
  g->low = g->flat.planes == 2 ? g->most : 0;
  g->plane = g->tall * DF_PANEL;
  g->panel = g->plane * g->flat.planes * (g->rows ? 1 : 2);
  g->parts = df_max(1, df_min(df_min(DF_PARTS_MAX, g->blocks), pixels / PART_PIXELS));
  g->groups = df_min(bands(g), df_ceil_div(ITEMS_WANTED, g->parts));
}

df_code df_tile_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy) {
  gradient g = { .c = *c, .dy = dy, .dw = dw, .accumulate = accumulate };
  g.flat = df_flat_of(c, x);
  g.rows = df_flat_is_rows(c, x->form);
  df_int size = c->K * c->R * c->S * c->C;
  if (size == 0) return DF_OK;
  cut(&g);
  if (g.blocks == 0) {
    if (!accumulate) memset(dw, 0, (size_t)size * sizeof *dw);
    return DF_OK;
  }
  return g.parts == 1 ? run(&g) : run_parts(&g);
}
