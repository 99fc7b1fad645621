/* dW as products of bf16 over pixels, block after block (tile_block.h). Shapes cut a
** part's pixels into folds, whose sums are added in order. The parts of a batch are added
** in a tree.
**
** Sums to which several blocks add stay in the order of tiles: 32 channels of a tap in
** one piece of K x 32. In dw itself their rows lie R S C apart, each on another page. */
#include "engine/tile_weight.h"

#include <string.h>

#include "base/pool.h"
#include "engine/gemm.h"
#include "engine/tile_block.h"
#include "engine/tree.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define FOLD_PIXELS   1024 /* at least so many pixels in a fold, if they are cut */
#define ITEMS_WANTED  8    /* enough for a few threads */
#define ROWS_IN_CACHE 128  /* dw is cut into so many if it is summed in place */
/* All row groups read the same packed x. With two groups, it is faster for each to pack
** its own copy than to read the other core's cache. */
#define GROUPS_ALONE 2

typedef struct gradient {
  df_tile_blocks blocks;
  df_real *dw;
  bool accumulate;
  int parts;            /* the batch has so many */
  df_int first, count;  /* blocks that are summed now */
  df_int folds, groups; /* number of folds of a part, and of groups of rows of dw */
  bool shared;          /* pairs of x are packed once for all groups */
  df_workspace room;    /* dy turned | pairs, unless shared | sums of a panel by parts */
  df_workspace common;  /* pairs of the blocks, if shared */
  df_real *tree, *sums; /* in tiles: of parts, by levels; of folds */
  int level;            /* the tree's, which these sums fill */
  bool last;            /* they are the last ones */
} gradient;

static df_int taps(const gradient *g) { return df_tile_taps(&g->blocks); }
static df_int panels(const gradient *g) { return df_tile_panels(&g->blocks); }
static df_int bands(const gradient *g) { return df_ceil_div(g->blocks.c.K, DF_PANEL); }

/* Reals of a tap of a panel, and of all, in tiles. */
static df_int tap_tile(const gradient *g) { return g->blocks.c.K * DF_PANEL; }
static df_int whole(const gradient *g) { return panels(g) * taps(g) * tap_tile(g); }

/* A single block of a part writes each sum once; all panels are full. */
static bool is_in_place(const gradient *g) {
  return g->blocks.count == 1 && g->blocks.c.C % DF_PANEL == 0;
}

/* Rows [k, k + K) of dw, and a task's room for them. */
typedef struct share {
  df_int k, K;
  uint16_t *dy, *pairs;
  df_real *sums;
} share;

/* Parts that a task sums at a time. */
static df_int parts_at_once(const gradient *g) { return is_in_place(g) ? g->parts : 1; }

static df_int dy_room(const gradient *g, df_int K) {
  return parts_at_once(g) * df_tile_dy_room(&g->blocks, K);
}
static df_int pairs_room(const gradient *g) {
  return g->shared ? 0 : parts_at_once(g) * df_tile_pairs_room(&g->blocks);
}
static df_int sums_room(const gradient *g, df_int K) {
  if (!is_in_place(g) || g->parts == 1) return 0;
  return df_tree_levels(g->parts) * taps(g) * K * DF_PANEL;
}

/* Reals of a task. The rooms of bf16 are multiples of a cache line. */
static df_int whole_room(const gradient *g, df_int K) {
  return (dy_room(g, K) + pairs_room(g)) / 2 + sums_room(g, K);
}

static share share_of(const gradient *g, df_int group, df_real *at) {
  share s = { .k = group * bands(g) / g->groups * DF_PANEL, .dy = (void *)at };
  s.K = df_min((group + 1) * bands(g) / g->groups * DF_PANEL, g->blocks.c.K) - s.k;
  s.pairs = s.dy + dy_room(g, s.K);
  s.sums = (void *)(s.pairs + pairs_room(g));
  return s;
}

/* ==== dw ============================================================================ */

/* Rows of a panel's tap, i = panel taps + tap, from a tile to their places. */
static void put_rows(const gradient *g, const df_real *tile, df_int i, df_int k,
                     df_int K) {
  df_int C = g->blocks.c.C, t = i % taps(g), c = i / taps(g) * DF_PANEL;
  df_int n = df_min(DF_PANEL, C - c);
  df_real *dw = g->dw + (k * taps(g) + t) * C + c;
  for (df_int j = 0; j < K; j++, tile += DF_PANEL, dw += taps(g) * C)
    if (g->accumulate) df_kernel()->add(dw, dw, 1, tile, 1, n);
    else memcpy(dw, tile, (size_t)n * sizeof *dw);
}

/* Adds the sums of earlier parts to those of a part, and writes the last ones. */
static void carry_rows(const gradient *g, df_int i, df_int k, df_int K) {
  df_real *at = g->tree + i * tap_tile(g) + k * DF_PANEL;
  df_tree_carry(at, whole(g), g->level, K * DF_PANEL);
  if (g->last) put_rows(g, at + g->level * whole(g), i, k, K);
}

/* ==== parts of one block each ======================================================= */

/* Panel i of all parts. They are added while they are in this core's cache. */
static void sum_panel(const gradient *g, const share *s, df_tile_product *p, df_int i) {
  const df_tile_blocks *b = &g->blocks;
  const uint16_t *pairs = g->shared ? (void *)g->common.base : s->pairs;
  df_int dy_step = df_tile_dy_room(b, s->K), pairs_step = df_tile_pairs_room(b);
  df_int tile = s->K * DF_PANEL, panel = taps(g) * tile;
  if (g->parts == 1) {
    df_real *dw = g->dw + s->k * taps(g) * b->c.C + i * DF_PANEL;
    df_tile_product_run(b, p, dw, g->accumulate, s->dy, pairs, i);
    return;
  }
  for (int part = 0; part < g->parts; part++) {
    int level = df_tree_level(part);
    df_tile_product_run(b, p, s->sums + level * panel, false, s->dy + part * dy_step,
                        pairs + part * pairs_step, i);
    df_tree_carry(s->sums, panel, level, panel);
  }
  const df_real *sum = s->sums + df_tree_level(g->parts - 1) * panel;
  for (df_int t = 0; t < taps(g); t++)
    put_rows(g, sum + t * tile, i * taps(g) + t, s->k, s->K);
}

static void sum_parts(const gradient *g, const share *s) {
  const df_tile_blocks *b = &g->blocks;
  for (int part = 0; part < g->parts; part++) {
    df_tile_turn(b, s->dy + part * df_tile_dy_room(b, s->K), part, s->k, s->K);
    if (!g->shared)
      df_tile_pair(b, s->pairs + part * df_tile_pairs_room(b), part, 0,
                   panels(g) * DF_PANEL);
  }
  df_tile_product p;
  if (g->parts == 1) df_tile_product_open(b, &p, 0, s->K, b->c.C, taps(g) * b->c.C);
  else df_tile_product_open(b, &p, 0, s->K, s->K * DF_PANEL, DF_PANEL);
  for (df_int i = 0; i < panels(g); i++) sum_panel(g, s, &p, i);
}

/* ==== a part of several blocks ====================================================== */

static void add_block(const gradient *g, const share *s, df_real *sums, df_int index,
                      bool accumulate) {
  const df_tile_blocks *b = &g->blocks;
  uint16_t *pairs = s->pairs;
  if (g->shared)
    pairs =
        (uint16_t *)(void *)g->common.base + (index - g->first) * df_tile_pairs_room(b);
  else df_tile_pair(b, pairs, index, 0, panels(g) * DF_PANEL);
  df_tile_turn(b, s->dy, index, s->k, s->K);
  df_tile_product p;
  df_tile_product_open(b, &p, index, s->K, tap_tile(g), DF_PANEL);
  for (df_int i = 0; i < panels(g); i++)
    df_tile_product_run(b, &p, sums + i * taps(g) * tap_tile(g), accumulate, s->dy, pairs,
                        i);
}

/* With one fold, they go on while they are in this core's cache. */
static void sum_fold(const gradient *g, const share *s, df_int fold) {
  df_int from = g->first + fold * g->count / g->folds;
  df_int to = g->first + (fold + 1) * g->count / g->folds;
  df_real *sums = g->sums + fold * whole(g) + s->k * DF_PANEL;
  for (df_int i = from; i < to; i++) add_block(g, s, sums, i, i > from);
  if (g->folds > 1) return;
  for (df_int i = 0; i < panels(g) * taps(g); i++) carry_rows(g, i, s->k, s->K);
}

static void fold_items(void *context, df_int begin, df_int end) {
  const gradient *g = context;
  for (df_int i = begin; i < end; i++) {
    df_int at = i * tap_tile(g);
    df_fold(g->tree + g->level * whole(g) + at, false, g->sums + at, g->folds, whole(g),
            tap_tile(g));
    carry_rows(g, i, 0, g->blocks.c.K);
  }
}

/* ==== all of them =================================================================== */

/* Packs pairs once for all groups. An item is a panel of a block's channels, or all of
** them if x has to be copied first. */
static df_int packs(const gradient *g) {
  return df_tile_is_copied(&g->blocks) ? 1 : panels(g);
}

static void pair_items(void *context, df_int begin, df_int end) {
  const gradient *g = context;
  uint16_t *to = (void *)g->common.base;
  df_int each = packs(g), width = panels(g) / each * DF_PANEL;
  for (df_int i = begin; i < end; i++)
    df_tile_pair(&g->blocks, to + i / each * df_tile_pairs_room(&g->blocks),
                 g->first + i / each, i % each * width, width);
}

static void run_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  df_real *at = df_workspace_take(&g->room);
  for (df_int item = begin; item < end; item++) {
    share s = share_of(g, item % g->groups, at);
    if (is_in_place(g)) sum_parts(g, &s);
    else sum_fold(g, &s, item / g->groups);
  }
  df_workspace_give(&g->room, at);
}

static df_code run_shares(gradient *g) {
  df_int items = g->folds * g->groups;
  df_int K = df_ceil_div(bands(g), g->groups) * DF_PANEL;
  if (df_workspace_open(&g->room, whole_room(g, K), items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, g);
  df_workspace_close(&g->room);
  return DF_OK;
}

static df_code run(gradient *g) {
  if (!g->shared) return run_shares(g);
  df_int halves = g->count * df_tile_pairs_room(&g->blocks);
  if (df_workspace_open(&g->common, df_ceil_div(halves, 2), 1) != DF_OK) return DF_MEMORY;
  df_parallel(g->count * packs(g), 1, pair_items, g);
  df_code code = run_shares(g);
  df_workspace_close(&g->common);
  return code;
}

static df_code run_part(gradient *g, int part) {
  g->first = part * g->count;
  g->level = df_tree_level(part), g->last = part == g->parts - 1;
  if (g->folds == 1) g->sums = g->tree + g->level * whole(g);
  df_code code = run(g);
  if (code == DF_OK && g->folds > 1) df_parallel(panels(g) * taps(g), 1, fold_items, g);
  return code;
}

/* Part after part. Folds begin in the place of the last level. The last part fills that
** level, so its first fold gets the sum. */
static df_code run_in_tiles(gradient *g) {
  df_workspace tiles;
  df_int levels = df_tree_levels(g->parts);
  df_int count = (levels - 1 + g->folds) * whole(g);
  if (df_workspace_open(&tiles, count, 1) != DF_OK) return DF_MEMORY;
  g->tree = tiles.base, g->sums = g->tree + (levels - 1) * whole(g);
  df_code code = DF_OK;
  for (int part = 0; part < g->parts && code == DF_OK; part++) code = run_part(g, part);
  df_workspace_close(&tiles);
  return code;
}

/* Groups of rows don't change the sums. Those that pack their own pairs take a tenth more
** time in all, so one or two threads get no more than they need. Sums in place are cut
** for the cache as well: a group's dy and sums stay there while all pairs pass by. */
static df_int groups_wanted(const gradient *g) {
  df_int items = df_threads() > 2 ? ITEMS_WANTED : df_threads();
  if (!is_in_place(g)) return df_ceil_div(items, g->folds);
  return df_max(items, df_ceil_div(g->blocks.c.K, ROWS_IN_CACHE));
}

static void cut(gradient *g) {
  const df_conv *c = &g->blocks.c;
  df_int most = df_min(DF_PARTS_MAX, g->blocks.count);
  g->folds = df_max(1, df_min(most, c->B * c->P * c->Q / FOLD_PIXELS));
  g->groups = df_min(bands(g), groups_wanted(g));
  g->shared = g->groups > (is_in_place(g) ? 1 : GROUPS_ALONE);
  g->count = g->blocks.count * parts_at_once(g);
}

df_code df_tile_weight_parts(const df_conv *c, int parts, df_real *dw, bool accumulate,
                             const df_image *x, const df_real *dy) {
  gradient g = { .dw = dw, .accumulate = accumulate, .parts = parts };
  df_int size = c->K * c->R * c->S * c->C;
  if (size == 0) return DF_OK;
  g.blocks = df_tile_blocks_of(c, x, dy);
  if (g.blocks.count == 0) {
    if (!accumulate) memset(dw, 0, (size_t)size * sizeof *dw);
    return DF_OK;
  }
  cut(&g);
  return is_in_place(&g) ? run(&g) : run_in_tiles(&g);
}

df_code df_tile_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy) {
  return df_tile_weight_parts(c, 1, dw, accumulate, x, dy);
}
