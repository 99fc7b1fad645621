/* dW as products of bf16 over pixels: dy turned (K rows of pixels) times x as pairs of
** pixels, with a column for each channel. In flat rows a tap moves the pairs by a
** constant. It may be odd, so there are pairs that begin at even pixels and pairs that
** begin at odd ones. Shapes cut the pixels into parts, which are folded in order.
**
** Sums to which several blocks add stay in the order of tiles: 32 channels of a tap in
** one piece of K x 32. In dw itself their rows lie R S C apart, each on another page. */
#include "engine/tile_weight.h"

#include <string.h>

#include "base/pool.h"
#include "engine/flat.h"
#include "engine/gemm.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define PART_PIXELS  1024 /* at least so many pixels in a part, if they are cut */
#define ITEMS_WANTED 8    /* enough for a few threads */
/* Pixels of a block. With more, the sums (2.4 MB for C = K = 256) pass through the caches
** less often. With fewer, pairs and dy stay in the second cache. */
#define BLOCK_PIXELS 512
#define ROWS_BLOCK   256 /* rows of a 1 x 1 kernel, whose sums are few */
/* All row groups read the same packed x. With two groups, it is faster for each to pack
** its own copy than to read the other core's cache. */
#define GROUPS_ALONE 2

#define LINES_MAX 128

/* The layout of sums: reals from a part, a panel of channels, a tap, a row k to the
** next. */
typedef struct layout {
  df_real *at;
  df_int part, panel, tap, row;
} layout;

typedef struct gradient {
  df_conv c;
  df_flat flat;
  const df_real *dy;
  df_real *dw;
  bool accumulate;
  bool rows;            /* a 1 x 1 kernel: pixels are rows, x is plain */
  df_int blocks;        /* number of blocks of pixels */
  df_int parts, groups; /* number of parts of blocks, and of groups of rows of dw */
  bool shared;          /* pairs of x are packed once for all groups */
  /* lines of dy are adjacent, without the zeros between lines of flat rows */
  bool by_lines;
  /* pixels summed at a time (a line or all); pixels of the largest block */
  df_int deep, most;
  df_int tall;    /* pixels that a block's pairs hold */
  df_int ld, low; /* turned dy: from a row to the next, and to its low plane */
  /* bf16 of a panel's plane of pairs; of all its planes, even and odd */
  df_int plane, panel;
  layout sums;         /* dw itself, or in tiles: parts x panels x R S x K x DF_PANEL */
  df_workspace room;   /* dy turned | a copy of x and its pairs, unless shared */
  df_workspace common; /* blocks x (a copy of x | pairs), if shared */
} gradient;

/* The work of an item: rows [k, k + K) of a part's sums, block after block. */
typedef struct share {
  df_int k, K;
  df_real *sums;
  bool accumulate;
  uint16_t *dy;
  const uint16_t *pairs;
} share;

static df_int taps(const gradient *g) { return g->c.R * g->c.S; }
static df_int panels(const gradient *g) { return df_ceil_div(g->c.C, DF_PANEL); }
static df_int bands(const gradient *g) { return df_ceil_div(g->c.K, DF_PANEL); }

static layout in_tiles(const gradient *g, df_real *at) {
  df_int tap = g->c.K * DF_PANEL, panel = taps(g) * tap;
  return (layout){ at, panels(g) * panel, panel, tap, DF_PANEL };
}
static layout in_place(const gradient *g) {
  return (layout){ g->dw, 0, DF_PANEL, g->c.C, taps(g) * g->c.C };
}
/* A single block writes each sum once; all panels are full. */
static bool is_in_place(const gradient *g) {
  return g->blocks == 1 && g->c.C % DF_PANEL == 0;
}

/* bf16 of a block's copy and its pairs; and of dy for K rows, including those that
** products may read behind it. */
static df_int copied(const gradient *g) {
  return g->rows ? 0 : df_ceil_div(df_flat_room(&g->flat), 32) * 32;
}
static df_int block_room(const gradient *g) { return copied(g) + panels(g) * g->panel; }
static df_int turned(const gradient *g, df_int K) { return (K + DF_BEHIND) * g->ld; }

/* ==== one block of pixels =========================================================== */

static void turn(const gradient *g, const share *s, df_int at, df_int from,
                 df_int pixels) {
  df_kernel()->turn_planes(s->dy + at, g->ld, g->low, g->dy + from * g->c.K + s->k,
                           g->c.K, pixels, s->K);
}

/* dy of a block: K rows of `most` pixels, 0 where no output is. */
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

/* Pairs of channels [c, c + n); the odd ones begin a pixel later. */
static void pair_x(const gradient *g, uint16_t *to, const uint16_t *x, df_int pixels,
                   df_int c, df_int n) {
  for (df_int odd = 0; odd < 2; odd++)
    for (df_int plane = 0; plane < g->flat.planes; plane++)
      df_kernel()->pair_planes(
          to + c / DF_PANEL * g->panel + (odd * g->flat.planes + plane) * g->plane,
          g->panel, x + odd * g->flat.pixel + plane * g->flat.low + c, g->flat.pixel,
          pixels - odd, n, g->tall);
}

static df_int row_of(const gradient *g, df_int block) {
  return block * g->c.B * g->c.P * g->c.Q / g->blocks;
}

/* Pairs of a block's channels [c, c + n), behind the block's copy in room. The pixels of
** a 1 x 1 kernel are rows and are read in place. */
static void pair_block_of_x(const gradient *g, uint16_t *room, df_int block, df_int c,
                            df_int n) {
  uint16_t *pairs = room + copied(g);
  if (g->rows) {
    df_int row = row_of(g, block), m = row_of(g, block + 1) - row;
    df_kernel()->pair_rows(pairs + c / DF_PANEL * g->panel, g->panel,
                           g->low ? g->plane : 0, g->flat.x.at + row * g->c.C + c, g->c.C,
                           m, df_min(n, g->c.C - c), g->most);
    return;
  }
  df_block b = df_block_at(&g->flat.blocks, block);
  const uint16_t *x = df_flat_rows(&g->flat, &b, room);
  pair_x(g, pairs, x, df_flat_count(&g->flat, &b) + df_flat_reach(&g->flat), c, n);
}

/* The first pair that a kernel's tap meets from flat row `row` on. */
static df_int pairs_at(const gradient *g, df_int row) {
  return row % 2 * g->flat.planes * g->plane + row / 2 * 2 * DF_PANEL;
}

/* sums = or += sum over the block's pixels. */
static void add_products(const gradient *g, const share *s, const df_block *b) {
  df_int lines = g->by_lines ? b->images * b->lines : 1;
  df_int tap[LINES_MAX] = { 0 }, w_tap[DF_TAPS_MAX * LINES_MAX];
  for (df_int i = 1; i < lines; i++) tap[i] = i * g->deep;
  for (df_int t = 0; t < taps(g); t++) {
    df_int at = g->rows ? 0 : df_flat_tap(&g->flat, t / g->c.S, t % g->c.S);
    for (df_int i = 0; i < lines; i++) {
      df_int image = i / b->lines, line = i % b->lines;
      w_tap[t * lines + i] =
          pairs_at(g, at + image * g->flat.image + line * g->flat.line);
    }
  }
  df_pairs p = { .m = s->K,
                 .K = taps(g) * DF_PANEL,
                 .C = g->deep,
                 .ldy = g->sums.row,
                 .y_panel = g->sums.tap,
                 .x = s->dy,
                 .ldx = g->ld,
                 .x_low = g->low,
                 .tap = tap,
                 .taps = lines,
                 .w_low = g->low ? g->plane : 0,
                 .w_tap = w_tap,
                 .accumulate = s->accumulate };
  for (df_int i = 0; i < panels(g); i++) {
    p.y = s->sums + i * g->sums.panel, p.w = s->pairs + i * g->panel;
    df_kernel()->pairs(&p);
  }
}

static void add_block(const gradient *g, const share *s, df_int index) {
  df_block b = { .images = 1, .lines = 1 };
  if (g->rows) {
    df_int row = row_of(g, index), m = row_of(g, index + 1) - row;
    if (m < g->most) memset(s->dy, 0, (size_t)(s->K * g->ld) * sizeof *s->dy);
    turn(g, s, 0, row, m);
  } else {
    b = df_block_at(&g->flat.blocks, index);
    turn_dy(g, s, &b);
  }
  add_products(g, s, &b);
}

/* ==== all of them =================================================================== */

/* Packs pairs once for all groups. An item is a panel of a block's channels, or all of
** them if x has to be copied first. */
static df_int pieces(const gradient *g) {
  return g->rows || g->flat.direct ? panels(g) : 1;
}

static void pair_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  uint16_t *room = (void *)g->common.base;
  df_int each = pieces(g), width = panels(g) / each * DF_PANEL;
  for (df_int i = begin; i < end; i++)
    pair_block_of_x(g, room + i / each * block_room(g), i / each, i % each * width,
                    width);
}

/* Rows [k, k + K) of a panel's tap, i = panel taps + tap, from tiles to their places in
** dw. */
static void put_rows(const gradient *g, df_int i, df_int k, df_int K) {
  df_int t = i % taps(g), c = i / taps(g) * DF_PANEL, n = df_min(DF_PANEL, g->c.C - c);
  const df_real *sums = g->sums.at + i * g->sums.tap + k * DF_PANEL;
  df_real *dw = g->dw + (k * taps(g) + t) * g->c.C + c;
  for (df_int j = 0; j < K; j++, sums += DF_PANEL, dw += taps(g) * g->c.C)
    if (g->accumulate) df_kernel()->add(dw, dw, 1, sums, 1, n);
    else memcpy(dw, sums, (size_t)n * sizeof *dw);
}

/* Writes them while they are in this core's cache. */
static void put_all(const gradient *g, df_int k, df_int K) {
  for (df_int i = 0; i < panels(g) * taps(g); i++) put_rows(g, i, k, K);
}

static void run_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  uint16_t *all = (void *)g->common.base;
  df_real *piece_of_room = df_workspace_take(&g->room);
  for (df_int item = begin; item < end; item++) {
    df_int part = item / g->groups, group = item % g->groups;
    df_int from = part * g->blocks / g->parts, to = (part + 1) * g->blocks / g->parts;
    share s = { .k = group * bands(g) / g->groups * DF_PANEL,
                .dy = (void *)piece_of_room };
    s.K = df_min((group + 1) * bands(g) / g->groups * DF_PANEL, g->c.K) - s.k;
    s.sums = g->sums.at + part * g->sums.part + s.k * g->sums.row;
    uint16_t *own = s.dy + turned(g, s.K);
    for (df_int i = from; i < to; i++) {
      uint16_t *room = g->shared ? all + i * block_room(g) : own;
      if (!g->shared) pair_block_of_x(g, room, i, 0, panels(g) * DF_PANEL);
      s.pairs = room + copied(g);
      s.accumulate = i > from || (is_in_place(g) && g->accumulate);
      add_block(g, &s, i);
    }
    if (g->parts == 1 && !is_in_place(g)) put_all(g, s.k, s.K);
  }
  df_workspace_give(&g->room, piece_of_room);
}

/* Adds all parts of a panel's tap into the first, and writes it to dw. */
static void fold_items(void *context, df_int begin, df_int end) {
  const gradient *g = context;
  for (df_int i = begin; i < end; i++) {
    df_real *sums = g->sums.at + i * g->sums.tap;
    df_fold(sums, false, sums, g->parts, g->sums.part, g->sums.tap);
    put_rows(g, i, 0, g->c.K);
  }
}

static df_code run_shares(gradient *g) {
  df_int items = g->parts * g->groups;
  df_int K = df_ceil_div(bands(g), g->groups) * DF_PANEL;
  df_int halves = turned(g, K) + (g->shared ? 0 : block_room(g));
  if (df_workspace_open(&g->room, df_ceil_div(halves, 2), items) != DF_OK)
    return DF_MEMORY;
  df_parallel(items, 1, run_items, g);
  df_workspace_close(&g->room);
  return DF_OK;
}

static df_code run_shared(gradient *g) {
  df_int halves = g->blocks * block_room(g);
  if (df_workspace_open(&g->common, df_ceil_div(halves, 2), 1) != DF_OK) return DF_MEMORY;
  df_parallel(g->blocks * pieces(g), 1, pair_items, g);
  df_code code = run_shares(g);
  df_workspace_close(&g->common);
  return code;
}

static df_code run(gradient *g) { return g->shared ? run_shared(g) : run_shares(g); }

static df_code run_in_tiles(gradient *g) {
  df_workspace sums;
  df_int part = in_tiles(g, NULL).part;
  if (df_workspace_open(&sums, g->parts * part, 1) != DF_OK) return DF_MEMORY;
  g->sums = in_tiles(g, sums.base);
  df_code code = run(g);
  if (code == DF_OK && g->parts > 1) df_parallel(panels(g) * taps(g), 1, fold_items, g);
  df_workspace_close(&sums);
  return code;
}

static df_int rounded(df_int pixels) {
  return df_ceil_div(pixels, df_kernel()->pairs_step) * df_kernel()->pairs_step;
}

/* Chooses the cut with fewer rows. Example: 2 images of 7 x 7 pixels have 98 outputs. As
** flat rows they take 119 rows. Line by line they take 14 times 8, since pairs come in
** steps of 2. */
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

/* The pitch of turned dy is never a multiple of 128 bytes. Such a pitch would
** put the rows of a register block into few lines of the cache: a fifth of the rate. */
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
  g->shared = g->groups > GROUPS_ALONE;
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
  if (!is_in_place(&g)) return run_in_tiles(&g);
  g.sums = in_place(&g);
  return run(&g);
}
