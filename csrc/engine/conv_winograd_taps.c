/* Winograd's convolutions whose weights are read as taps, a quarter of the memory of
** transformed weights. Each product transforms them, a few channels of a panel at a
** time, and multiplies them with all tiles of a block. The results have the same bits as
** those of conv_winograd. */
#include "engine/conv_winograd_taps.h"

#include <string.h>

#include "base/pool.h"
#include "engine/panel.h"
#include "engine/pitch.h"
#include "engine/winograd_few.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

/* ==== weights ======================================================================= */

/* Panels of outputs. For each DF_CHANNELS inputs, a panel has 9 taps of inputs x panel,
** in the order in which they are read. */
static size_t bytes(const df_conv *c) {
  return df_panels_bytes(c->pack_type, df_packed_size(c->C, c->K) * DF_TAPS);
}

static size_t back_bytes(const df_conv *c) {
  return df_panels_bytes(c->pack_type, df_packed_size(c->K, c->C) * DF_TAPS);
}

typedef struct packing {
  df_panels to;
  const df_conv *c;
} packing;

static packing packing_of(void *packed, const df_conv *c) {
  return (packing){ { packed, c->pack_type, df_winograd_rounds(c) }, c };
}

static void pack_ahead(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int width = df_kernel()->panel;
  df_int first = (b->k * p->c->C + b->c * width) * DF_TAPS;
  for (df_int t = 0; t < DF_TAPS; t++, first += b->C * width)
    df_panels_put(&p->to, first, b->at + t * b->tap, b->C, 1, b->K, b->row);
}

/* Outputs as inputs, and taps turned. */
static void pack_back(const void *context, const df_weight_block *b) {
  const packing *p = context;
  df_int width = df_kernel()->panel;
  df_int first = (b->c * p->c->K + b->k * width) * DF_TAPS;
  for (df_int t = DF_TAPS - 1; t >= 0; t--, first += b->K * width)
    df_panels_put(&p->to, first, b->at + t * b->tap, b->K, b->row, b->C, 1);
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = packing_of(packed, c);
  return df_weights_each(w, df_kernel()->panel, DF_CHANNELS, pack_ahead, &p);
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = packing_of(packed, c);
  return df_weights_each(w, DF_CHANNELS, df_kernel()->panel, pack_back, &p);
}

/* ==== forward, and to x ============================================================= */

typedef struct pass {
  df_winograd w;
  df_pack_type type;   /* the type of the packed taps */
  bool few;            /* weights are transformed in registers */
  df_int from, count;  /* the current block of tiles: the first, how many */
  df_real *v, *zero;   /* its inputs at 36 points; a pixel of zeros */
  df_workspace shared; /* holds both */
  df_workspace room;   /* for a panel, or for a piece of tiles */
} pass;

static void transform_tiles(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_real *copy = p->w.round ? df_workspace_take(&p->room) : NULL;
  df_winograd_inputs(&p->w, p->v + begin * p->w.pitch, p->zero, copy, p->from + begin,
                     end - begin);
  if (copy) df_workspace_give(&p->room, copy);
}

static void transform_groups(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_real *room = df_workspace_take(&p->room), *copy = room + df_winograd_few_room(&p->w);
  for (df_int group = begin; group < end; group++)
    df_winograd_few_inputs(&p->w, p->v, p->zero, copy, room, group);
  df_workspace_give(&p->room, room);
}

/* Points whose weights are transformed at a time: they stay in the first cache. All 36
** at a time take 1.1 times as long. */
#define ROW 6

static df_int weight_plane(void) {
  return df_odd_lines(DF_CHANNELS * df_kernel()->panel, sizeof(df_real));
}

static void multiply_rows(const pass *p, df_real *u, df_real *m, const df_real *taps,
                          df_int c, df_int n, df_int columns) {
  df_int tap = n * df_kernel()->panel, plane = weight_plane();
  for (int row = 0; row < DF_POINTS / ROW; row++) {
    df_kernel()->winograd_weights_row(u, plane, row, taps, tap, tap);
    df_winograd_multiply(&p->w, m, p->v, u, plane, row * ROW, ROW, p->count, c, n,
                         columns);
  }
}

/* Column k is the first of a panel. */
static void multiply_panel(const pass *p, df_real *room, df_int k) {
  df_int panel = df_kernel()->panel, C = p->w.x.C;
  df_int columns = df_min(panel, p->w.K - k);
  df_real *u = room, *m = u + ROW * weight_plane(),
          *widened = m + DF_POINTS * p->w.output;
  for (df_int c = 0, n; c < C; c += n) {
    n = df_min(DF_CHANNELS, C - c);
    df_int first = (k * C + c * panel) * DF_TAPS, count = n * panel * DF_TAPS;
    const df_real *taps = df_panels_reals(p->w.packed, p->type, first, count, widened);
    if (p->few) df_winograd_few_multiply(&p->w, m, p->v, taps, c, n);
    else multiply_rows(p, u, m, taps, c, n, columns);
  }
  df_winograd_outputs(&p->w, m, p->from, p->count, k, columns);
}

static void multiply_panels(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_real *room = df_workspace_take(&p->room);
  for (df_int i = begin; i < end; i++) multiply_panel(p, room, i * df_kernel()->panel);
  df_workspace_give(&p->room, room);
}

#define BLOCK_TILES 64 /* transforming the weights is a tenth of the work */
#define CHUNKS      8  /* pieces of a block: enough for a few threads */

/* Weights of a row, outputs at 36 points, and taps of 16 bits as reals. */
static df_int panel_room(const pass *p) {
  df_int reals = ROW * weight_plane() + DF_POINTS * p->w.output;
  if (p->type == DF_PACK_REALS) return reals;
  return reals + df_min(DF_CHANNELS, p->w.x.C) * df_kernel()->panel * DF_TAPS;
}

static df_int tiles_room(const pass *p) {
  df_int pixels = p->w.round ? DF_POINTS * p->w.x.C : 0;
  return pixels + (p->few ? df_winograd_few_room(&p->w) : 0);
}

static df_code open_pass(pass *p, df_int block, df_int panels) {
  df_int C = p->w.x.C, reals = df_max(panel_room(p), tiles_room(p));
  if (df_workspace_open(&p->shared, DF_POINTS * p->w.plane + C, 1) != DF_OK)
    return DF_MEMORY;
  p->v = p->shared.base, p->zero = p->v + DF_POINTS * p->w.plane;
  memset(p->zero, 0, (size_t)C * sizeof *p->zero);
  df_code code = df_workspace_open(&p->room, reals, df_max(block, panels));
  if (code != DF_OK) df_workspace_close(&p->shared);
  return code;
}

static df_code run(pass *p) {
  df_int all = p->w.tiles.count, panels = df_ceil_div(p->w.K, df_kernel()->panel);
  if (all == 0 || panels == 0) return DF_OK;
  df_int block = df_ceil_div(all, df_ceil_div(all, BLOCK_TILES));
  df_winograd_pitch(&p->w, block);
  p->few = df_winograd_few_pays(&p->w);
  if (open_pass(p, block, panels) != DF_OK) return DF_MEMORY;
  for (; p->from < all; p->from += p->count) {
    p->count = df_min(block, all - p->from);
    if (p->few) df_parallel(df_winograd_few_groups(&p->w), 1, transform_groups, p);
    else df_parallel(p->count, df_ceil_div(p->count, CHUNKS), transform_tiles, p);
    df_parallel(panels, 1, multiply_panels, p);
  }
  df_workspace_close(&p->room);
  df_workspace_close(&p->shared);
  return DF_OK;
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  pass p = { .w = df_winograd_ahead(c, y, x, packed, bias, add), .type = c->pack_type };
  return run(&p);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  pass p = { .w = df_winograd_back(c, dx, accumulate, dy, packed), .type = c->pack_type };
  return run(&p);
}

/* ==== the algorithm ================================================================= */

static bool can(const df_conv *c, df_direction d, df_form x) {
  return d != DF_WEIGHT && df_winograd_can(c, d, x);
}

static bool pays(const df_conv *c, df_direction d) {
  return d != DF_WEIGHT && df_winograd_fits(c, d)
         && df_winograd_count(c, d) >= df_winograd_least(c)
         && df_winograd_from_taps(c, d);
}

const df_algorithm df_conv_winograd_taps = {
  "winograd_taps",           df_winograd_form, can,  pays, { bytes, pack },
  { back_bytes, back_pack }, forward,          data, NULL, NULL
};
