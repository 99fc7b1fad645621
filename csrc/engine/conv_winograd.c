/* 3 x 3 convolutions of stride 1 as 36 products (kernels/body/winograd.h), with weights
** that are transformed when they are packed. Tiles of 4 x 4 outputs are worked in blocks
** that fit the second cache. Their inputs are transformed; then, for each panel of
** outputs, the 36 products and the finished pixels follow. */
#include "engine/conv_winograd.h"

#include <string.h>

#include "base/pool.h"
#include "engine/conv_weight.h"
#include "engine/gemm.h"
#include "engine/panel.h"
#include "engine/pitch.h"
#include "engine/winograd.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

/* Panels of outputs, for C inputs and K outputs. Each is 36 planes of C x panel. */
static df_int weight_plane(df_int C) {
  return df_odd_lines(C * df_kernel()->panel, sizeof(df_real));
}

static size_t weight_bytes(df_int C, df_int K) {
  df_int panels = df_ceil_div(K, df_kernel()->panel);
  return (size_t)(panels * DF_POINTS * weight_plane(C)) * sizeof(df_real);
}

static size_t bytes(const df_conv *c) { return weight_bytes(c->C, c->K); }
static size_t back_bytes(const df_conv *c) { return weight_bytes(c->K, c->C); }

typedef struct packing {
  df_real *u;
  const df_conv *c;
  bool back;
} packing;

/* Channels of a panel. Their taps are packed into the place of the last planes, and
** transformed in place. */
static void pack_block(const void *context, const df_weight_block *b) {
  const packing *p = context;
  const df_kernels *kernel = df_kernel();
  df_int width = kernel->panel, plane = weight_plane(p->back ? p->c->K : p->c->C);
  df_int first = p->back ? b->c : b->k, from = p->back ? b->k : b->c;
  df_int n = p->back ? b->K : b->C;
  df_real *u = p->u + first / width * DF_POINTS * plane + from * width;
  df_real *taps = u + (DF_POINTS - DF_TAPS) * plane;
  for (df_int t = 0; t < DF_TAPS; t++)
    if (p->back)
      df_pack_panel(taps + t * plane, b->at + (DF_TAPS - 1 - t) * b->tap, n, b->row, b->C,
                    1, df_winograd_rounds(p->c));
    else
      df_pack_panel(taps + t * plane, b->at + t * b->tap, n, 1, b->K, b->row,
                    df_winograd_rounds(p->c));
  kernel->winograd_weights(u, plane, taps, plane, n * width);
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c, false };
  return df_weights_each(w, df_kernel()->panel, DF_CHANNELS, pack_block, &p);
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c, true };
  return df_weights_each(w, DF_CHANNELS, df_kernel()->panel, pack_block, &p);
}

/* ==== forward, and to x ============================================================= */

typedef struct pass {
  df_winograd w;
  df_int blocks, groups; /* number of blocks of tiles, of groups of panels */
  df_workspace room;     /* inputs and outputs of a block, and a pixel of zeros */
} pass;

static void work_block(const pass *p, df_real *room, df_int from, df_int count,
                       df_int first, df_int last) {
  const df_winograd *w = &p->w;
  df_int panel = df_kernel()->panel, C = w->x.C, plane = weight_plane(C);
  df_real *v = room, *m = v + DF_POINTS * w->plane, *zero = m + DF_POINTS * w->output;
  memset(zero, 0, (size_t)C * sizeof *zero);
  df_winograd_inputs(w, v, zero, zero + C, from, count);
  for (df_int i = first; i < last; i++) {
    df_int columns = df_min(panel, w->K - i * panel);
    const df_real *u = (const df_real *)w->packed + i * DF_POINTS * plane;
    for (df_int c = 0; c < C; c += DF_CHANNELS)
      df_winograd_multiply(w, m, v, u + c * panel, plane, 0, DF_POINTS, count, c,
                           df_min(DF_CHANNELS, C - c), columns);
    df_winograd_outputs(w, m, from, count, i * panel, columns);
  }
}

static void run_items(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_int panels = df_ceil_div(p->w.K, df_kernel()->panel), count = p->w.tiles.count;
  df_real *room = df_workspace_take(&p->room);
  for (df_int item = begin; item < end; item++) {
    df_int block = item / p->groups, group = item % p->groups;
    df_int from = block * count / p->blocks, to = (block + 1) * count / p->blocks;
    work_block(p, room, from, to - from, group * panels / p->groups,
               (group + 1) * panels / p->groups);
  }
  df_workspace_give(&p->room, room);
}

#define BLOCK_TILES  28 /* 21 to 42 are as fast, within 5% */
#define ITEMS_WANTED 8  /* enough for a few threads */

static df_code run(pass *p) {
  df_winograd *w = &p->w;
  df_int panels = df_ceil_div(w->K, df_kernel()->panel), count = w->tiles.count;
  if (count == 0 || w->K == 0) return DF_OK;
  p->blocks = df_ceil_div(count, BLOCK_TILES);
  p->groups = df_min(panels, df_ceil_div(ITEMS_WANTED, p->blocks));
  df_winograd_pitch(w, df_ceil_div(count, p->blocks));
  df_int pixels = w->x.C * (w->round ? 1 + DF_POINTS : 1); /* zeros, and rounded pixels */
  df_int reals = DF_POINTS * (w->plane + w->output) + pixels;
  df_int items = p->blocks * p->groups;
  if (df_workspace_open(&p->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, p);
  df_workspace_close(&p->room);
  return DF_OK;
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  pass p = { .w = df_winograd_ahead(c, y, x, packed, bias, add) };
  return run(&p);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  pass p = { .w = df_winograd_back(c, dx, accumulate, dy, packed) };
  return run(&p);
}

/* ==== to the weights ================================================================ */

typedef struct gradient {
  df_conv c;
  const df_image *x;
  df_image dy;
  df_winograd_tiles tiles;
  df_int from, count;     /* this chunk's tiles: the first, how many */
  df_int down, across;    /* number of blocks of C, and of K */
  df_int pitch;           /* pitch of x's transformed tiles */
  df_int inputs, outputs; /* from a point of these to the next; and for dy */
  df_real *v, *z;         /* points x tiles x C; points x panels of K x tiles x panel */
  df_real *s;             /* points x C x K: sums over tiles */
  const df_real *zero;
  df_workspace copies; /* a tile's pixels, rounded */
} gradient;

static void transform_items(void *context, df_int begin, df_int end) {
  gradient *g = context;
  const df_kernels *kernel = df_kernel();
  const df_real *pixel[DF_POINTS];
  df_int panel = kernel->panel, K = g->c.K;
  df_real *copy = df_winograd_rounds(&g->c) ? df_workspace_take(&g->copies) : NULL;
  for (df_int i = begin; i < end; i++) {
    df_winograd_tile t = df_winograd_tile_at(&g->tiles, g->from + i);
    df_winograd_point_to(pixel, g->x, t.n, t.p - g->c.top, t.q - g->c.left, 6, 6,
                         g->zero);
    if (copy) df_winograd_round(pixel, g->x->form, DF_POINTS, g->c.C, g->zero, copy);
    kernel->winograd_inputs(g->v + i * g->pitch, g->inputs, pixel, g->c.C);
    df_winograd_point_to(pixel, &g->dy, t.n, t.p, t.q, 4, 4, g->zero);
    if (copy) df_winograd_round(pixel, DF_ROWS, 16, K, g->zero, copy);
    for (df_int k = 0; k < K; k += panel) {
      kernel->winograd_outputs_back(g->z + k * g->count + i * panel, g->outputs, pixel,
                                    df_min(panel, K - k));
      for (int j = 0; j < 16; j++) pixel[j] += panel;
    }
  }
  if (copy) df_workspace_give(&g->copies, copy);
}

#define BLOCK_C 56
#define BLOCK_K 128

static void sum_items(void *context, df_int begin, df_int end) {
  const gradient *g = context;
  const df_kernels *kernel = df_kernel();
  df_int C = g->c.C, K = g->c.K, panels = df_ceil_div(K, kernel->panel);
  for (df_int item = begin; item < end; item++) {
    df_int j = item % g->across, i = item / g->across % g->down;
    df_int point = item / g->across / g->down;
    df_int c = i * C / g->down, c_to = (i + 1) * C / g->down;
    df_int k = j * panels / g->across * kernel->panel;
    df_int k_to = df_min((j + 1) * panels / g->across * kernel->panel, K);
    kernel->rows_turned(g->s + (point * C + c) * K + k, K, g->v + point * g->inputs + c,
                        g->pitch, g->z + point * g->outputs + k * g->count, g->from > 0,
                        c_to - c, g->count, k_to - k);
  }
}

#define CHUNK_REALS                                                                      \
  (1 << 20)           /* reals of transformed tiles at a time: 4 MB, at most half of L3 */
#define FINISHED 4096 /* reals of a chunk */

/* In place: taps become the first planes. */
static void finish_items(void *context, df_int begin, df_int end) {
  const gradient *g = context;
  df_int plane = g->c.C * g->c.K;
  df_kernel()->winograd_weights_back(g->s + begin, plane, g->s + begin, plane,
                                     end - begin);
}

static void sum_tiles(gradient *g, df_int chunk) {
  g->down = df_ceil_div(g->c.C, BLOCK_C), g->across = df_ceil_div(g->c.K, BLOCK_K);
  df_int panels = df_ceil_div(g->c.K, df_kernel()->panel) * df_kernel()->panel;
  for (g->from = 0; g->from < g->tiles.count; g->from += chunk) {
    g->count = df_min(chunk, g->tiles.count - g->from);
    g->inputs = df_odd_lines(g->count * g->pitch, sizeof(df_real));
    g->outputs = df_odd_lines(g->count * panels, sizeof(df_real));
    df_parallel(g->count, 4, transform_items, g);
    df_parallel(DF_POINTS * g->down * g->across, 1, sum_items, g);
  }
}

static df_code weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                      const df_real *dy) {
  gradient g = { .c = *c,
                 .x = x,
                 .dy = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
                 .tiles = df_winograd_tiles_of(DF_TILE_TALL, c->B, c->P, c->Q),
                 .pitch = df_odd_lines(c->C, sizeof(df_real)) };
  df_int panel = df_kernel()->panel, wide = df_ceil_div(c->K, panel) * panel;
  df_int chunk = df_max(64, CHUNK_REALS / (DF_POINTS * (g.pitch + wide)));
  chunk = df_ceil_div(g.tiles.count, df_max(1, df_ceil_div(g.tiles.count, chunk)));
  df_int zeros = df_max(c->C, wide), sums = DF_POINTS * c->C * c->K;
  df_int v = DF_POINTS * df_odd_lines(chunk * g.pitch, sizeof(df_real)),
         z = DF_POINTS * df_odd_lines(chunk * wide, sizeof(df_real));
  df_workspace room;
  if (df_workspace_open(&room, v + z + sums + zeros, 1) != DF_OK) return DF_MEMORY;
  g.v = room.base, g.z = g.v + v, g.s = g.z + z;
  df_real *zero = g.s + sums;
  memset(zero, 0, (size_t)zeros * sizeof *zero);
  /* columns without an output */
  if (wide > c->K) memset(g.z, 0, (size_t)z * sizeof *g.z);
  if (g.tiles.count == 0) memset(g.s, 0, (size_t)sums * sizeof *g.s);
  g.zero = zero;
  df_int copies = df_winograd_rounds(c) ? df_max(DF_POINTS * c->C, 16 * wide) : 0;
  df_code code = df_workspace_open(&g.copies, copies, chunk);
  if (code == DF_OK) sum_tiles(&g, chunk);
  if (code == DF_OK) {
    df_workspace_close(&g.copies);
    df_parallel(c->C * c->K, FINISHED, finish_items, &g);
    code = df_weight_fold(dw, accumulate, g.s, 1, DF_TAPS * c->C, c->K);
  }
  df_workspace_close(&room);
  return code;
}

/* ==== the algorithm ================================================================= */

#define LEAST_SUMMED 48 /* tiles of a batch, for gradients of weights */

static bool pays(const df_conv *c, df_direction d) {
  df_int count = df_winograd_count(c, d);
  if (!df_winograd_fits(c, d)) return false;
  if (d == DF_WEIGHT) return c->B * count >= LEAST_SUMMED && c->C * c->K <= 1 << 20;
  return count >= df_winograd_least(c) && !df_winograd_from_taps(c, d);
}

const df_algorithm df_conv_winograd = { "winograd",      df_winograd_form,
                                        df_winograd_can, pays,
                                        { bytes, pack }, { back_bytes, back_pack },
                                        forward,         data,
                                        weight,          NULL };
