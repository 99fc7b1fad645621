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

typedef struct gradient {
  df_conv c;
  df_flat flat;
  const df_real *dy;
  df_real *dw; /* of all pixels, or `parts` of them */
  bool accumulate;
  bool rows;            /* a 1 x 1 kernel: pixels are rows, x is plain */
  df_int blocks;        /* of pixels */
  df_int parts, groups; /* of blocks; of panels of channels */
  df_int most;          /* pixels of the largest block, rounded up to 32 */
  df_int tall;          /* pixels that its pairs hold */
  df_int plane, panel; /* bf16 of a panel's plane of pairs; of its planes, even and odd */
  df_workspace room;   /* a copy of x | dy turned | pairs */
} gradient;

/* bf16 of each piece of room. */
static df_int copied(const gradient *g) {
  return g->rows ? 0 : df_ceil_div(df_flat_room(&g->flat), 32) * 32;
}
static df_int turned(const gradient *g) { return g->c.K * g->most * g->flat.planes; }
/* What products of pairs may read behind the last row of dy. */
static df_int behind(const gradient *g) { return 31 * g->most * g->flat.planes; }

/* ==== one block of pixels =========================================================== */

/* dy of a block, K rows of `most` pixels; 0 where flat rows have no output. */
static void turn_dy(const gradient *g, uint16_t *to, const df_block *b) {
  const df_conv *c = &g->c;
  df_int ld = g->most * g->flat.planes, low = g->flat.planes == 2 ? g->most : 0;
  memset(to, 0, (size_t)turned(g) * sizeof *to);
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < b->lines; j++) {
      df_int at = i * g->flat.image + j * g->flat.line;
      df_int from = ((b->n + i) * c->P + b->p + j) * c->Q;
      df_kernel()->turn_planes(to + at, ld, low, g->dy + from * c->K, c->K, c->Q, c->K);
    }
}

/* Pairs of the panels from channel k on; the odd ones begin a pixel later. */
static void pair_x(const gradient *g, uint16_t *to, const uint16_t *x, df_int pixels,
                   df_int k, df_int panels) {
  for (df_int odd = 0; odd < 2; odd++)
    for (df_int plane = 0; plane < g->flat.planes; plane++)
      df_kernel()->pair_planes(to + (odd * g->flat.planes + plane) * g->plane, g->panel,
                               x + odd * g->flat.pixel + plane * g->flat.low + k,
                               g->flat.pixel, pixels - odd, panels * DF_PANEL, g->tall);
}

/* dw[k][t][c] = or += sum over the block's pixels, for the channels [k, to). */
static void add_products(const gradient *g, df_real *dw, bool accumulate,
                         const uint16_t *dy, const uint16_t *pairs, df_int k, df_int to) {
  const df_conv *c = &g->c;
  const df_int none = 0;
  df_pairs p = { .m = c->K,
                 .K = to - k,
                 .C = g->most,
                 .ldy = c->R * c->S * c->C,
                 .x = dy,
                 .ldx = g->most * g->flat.planes,
                 .x_low = g->flat.planes == 2 ? g->most : 0,
                 .tap = &none,
                 .taps = 1,
                 .panel = g->panel,
                 .w_low = g->flat.planes == 2 ? g->plane : 0,
                 .accumulate = accumulate };
  for (df_int t = 0; t < c->R * c->S; t++) {
    df_int tap = g->rows ? 0 : df_flat_tap(&g->flat, t / c->S, t % c->S);
    p.y = dw + t * c->C + k;
    p.w = pairs + tap % 2 * g->flat.planes * g->plane + tap / 2 * 2 * DF_PANEL;
    df_kernel()->pairs(&p);
  }
}

static void add_block(const gradient *g, uint16_t *room, df_real *dw, bool accumulate,
                      df_int index, df_int k, df_int to) {
  uint16_t *dy = room + copied(g), *pairs = dy + turned(g) + behind(g);
  df_block b = df_block_at(&g->flat.blocks, index);
  const uint16_t *x = df_flat_rows(&g->flat, &b, room);
  turn_dy(g, dy, &b);
  pair_x(g, pairs, x, df_flat_count(&g->flat, &b) + df_flat_reach(&g->flat), k,
         df_ceil_div(to - k, DF_PANEL));
  add_products(g, dw, accumulate, dy, pairs, k, to);
}

/* The same for rows of x, which are paired as they lie. */
static void add_rows(const gradient *g, uint16_t *room, df_real *dw, bool accumulate,
                     df_int index, df_int k, df_int to) {
  const df_conv *c = &g->c;
  uint16_t *dy = room, *pairs = dy + turned(g) + behind(g);
  df_int all = c->B * c->P * c->Q, row = index * all / g->blocks;
  df_int m = (index + 1) * all / g->blocks - row;
  df_int low = g->flat.planes == 2 ? g->most : 0;
  memset(dy, 0, (size_t)turned(g) * sizeof *dy);
  df_kernel()->turn_planes(dy, g->most * g->flat.planes, low, g->dy + row * c->K, c->K, m,
                           c->K);
  df_kernel()->pair_rows(pairs, g->panel, low ? g->plane : 0,
                         g->flat.x.at + row * c->C + k, c->C, m, to - k, g->most);
  add_products(g, dw, accumulate, dy, pairs, k, to);
}

/* ==== all of them =================================================================== */

static void run_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  const df_conv *c = &g->c;
  df_int panels = df_ceil_div(c->C, DF_PANEL), size = c->K * c->R * c->S * c->C;
  df_real *piece = df_workspace_take(&g->room);
  for (df_int item = begin; item < end; item++) {
    df_int part = item / g->groups, group = item % g->groups;
    df_int from = part * g->blocks / g->parts, to = (part + 1) * g->blocks / g->parts;
    df_int k = group * panels / g->groups * DF_PANEL;
    df_int k_to = df_min((group + 1) * panels / g->groups * DF_PANEL, c->C);
    for (df_int i = from; i < to; i++) {
      bool more = i > from || (g->parts == 1 && g->accumulate);
      (g->rows ? add_rows : add_block)(g, (void *)piece, g->dw + part * size, more, i, k,
                                       k_to);
    }
  }
  df_workspace_give(&g->room, piece);
}

static df_code run(gradient *g) {
  df_int panels = df_ceil_div(g->c.C, DF_PANEL), items = g->parts * g->groups;
  df_int halves =
      copied(g) + turned(g) + behind(g) + df_ceil_div(panels, g->groups) * g->panel;
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

static void cut(gradient *g) {
  const df_conv *c = &g->c;
  df_int pixels = c->B * c->P * c->Q, panels = df_ceil_div(c->C, DF_PANEL);
  if (g->rows) {
    g->blocks = df_ceil_div(pixels, ROWS_BLOCK);
    g->most = df_ceil_div(df_min(pixels, ROWS_BLOCK), 32) * 32;
    g->tall = g->most;
  } else {
    df_flat_open(&g->flat, BLOCK_PIXELS);
    g->blocks = g->flat.blocks.count;
    g->most = df_ceil_div(df_flat_most(&g->flat), 32) * 32;
    g->tall = g->most + (df_flat_reach(&g->flat) + 1) / 2 * 2;
  }
  g->plane = g->tall * DF_PANEL;
  g->panel = g->plane * g->flat.planes * (g->rows ? 1 : 2);
  g->parts = df_max(1, df_min(df_min(DF_PARTS_MAX, g->blocks), pixels / PART_PIXELS));
  g->groups = df_min(panels, df_ceil_div(ITEMS_WANTED, g->parts));
}

df_code df_tile_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy) {
  gradient g = { .c = *c, .dy = dy, .dw = dw, .accumulate = accumulate };
  g.flat = (df_flat){ .x = *x,
                      .R = c->R,
                      .S = c->S,
                      .stride = c->stride,
                      .top = c->top,
                      .left = c->left,
                      .P = c->P,
                      .Q = c->Q,
                      .planes = df_flat_planes(c->precision) };
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
