/* 3 x 3 convolutions of stride 1 at medium as 24 products of bf16
** (kernels/body/winograd_short.h). Weights are packed as for tiles. Each product
** transforms them, a few channels of a panel at a time, for all tiles of a block. */
#include "engine/conv_winograd_short.h"

#include <string.h>

#include "base/pool.h"
#include "engine/conv_tile.h"
#include "engine/pitch.h"
#include "engine/winograd.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define POINTS 24
#define ROW    6 /* points whose weights are transformed at a time */
/* Channels whose weights are transformed at a time. Sums are stored between them. With
** 128 it takes 1.1 times as long. */
#define CHANNELS    512
#define BLOCK_TILES 128
#define CHUNKS      8 /* pieces of a block: enough for a few threads */

typedef struct pass {
  df_winograd w;
  df_int depth;        /* channels of a tap in `packed`, and of a tile in v */
  df_int from, count;  /* the current block of tiles: the first, how many */
  uint16_t *v;         /* its inputs at 24 points */
  df_int pitch, plane; /* bf16 from a tile to the next, from a point to the next */
  df_real *zero;       /* a pixel of zeros */
  df_workspace shared; /* holds both */
  df_workspace room;   /* weights of a row and outputs at 24 points; or reals of pixels */
} pass;

static df_int weight_plane(void) {
  return df_odd_lines(CHANNELS * DF_PANEL, sizeof(uint16_t));
}
static df_int output_plane(const pass *p) {
  return df_odd_lines(p->count * DF_PANEL, sizeof(df_real));
}

/* Pixels are rounded before they are transformed too, in each form of x. So the operand
** of a norm gives the bits of rows. */
static void transform_tile(const pass *p, df_int i, df_real *copy) {
  const df_winograd *w = &p->w;
  const df_real *pixel[POINTS];
  df_winograd_tile t = df_winograd_tile_at(&w->tiles, p->from + i);
  df_winograd_point_to(pixel, &w->x, t.n, t.p - w->top, t.q - w->left, 4, 6, p->zero);
  df_winograd_round(pixel, w->x.form, POINTS, w->x.C, p->zero, copy);
  df_kernel()->short_inputs(p->v + i * p->pitch, p->plane, pixel, w->x.C, p->depth);
}

static void transform_tiles(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_real *copy = df_workspace_take(&p->room);
  for (df_int i = begin; i < end; i++) transform_tile(p, i, copy);
  df_workspace_give(&p->room, copy);
}

/* m = or += a row's points of a panel; n channels from c on. */
static void multiply_row(const pass *p, df_real *m, const uint16_t *u, int row, df_int c,
                         df_int n, df_int columns) {
  df_int none = 0;
  df_pairs r = { .m = p->count,
                 .K = columns,
                 .C = n,
                 .ldy = DF_PANEL,
                 .ldx = p->pitch,
                 .tap = &none,
                 .taps = 1,
                 .accumulate = c > 0 };
  for (int j = 0; j < ROW; j++) {
    df_int point = row * ROW + j;
    r.y = m + point * output_plane(p);
    r.x = p->v + point * p->plane + c;
    r.w = u + j * weight_plane();
    df_kernel()->pairs(&r);
  }
}

static void store_panel(const pass *p, const df_real *m, df_int k, df_int columns) {
  const df_winograd *w = &p->w;
  df_int at[8];
  for (df_int i = 0; i < p->count; i++) {
    df_winograd_place(at, &w->tiles, df_winograd_tile_at(&w->tiles, p->from + i),
                      w->pixel);
    df_kernel()->short_outputs(w->y + k, at, m + i * DF_PANEL, output_plane(p),
                               w->bias ? w->bias + k : NULL, w->add ? w->add + k : NULL,
                               w->accumulate, columns);
  }
}

/* Column k is the first of a panel. */
static void multiply_panel(const pass *p, df_real *room, df_int k) {
  df_int columns = df_min(DF_PANEL, p->w.K - k), tap = p->depth * DF_PANEL;
  uint16_t *u = (void *)room;
  df_real *m = room + ROW * weight_plane() / 2;
  const uint16_t *taps = (const uint16_t *)p->w.packed + k * p->depth * DF_TAPS;
  df_int slices = df_ceil_div(p->depth, CHANNELS);
  df_int slice = df_half_width(df_ceil_div(p->depth, slices));
  for (df_int c = 0; c < p->depth; c += slice) {
    df_int n = df_min(slice, p->depth - c);
    for (int row = 0; row < POINTS / ROW; row++) {
      df_kernel()->short_weights(u, weight_plane(), row, taps + c * DF_PANEL, tap,
                                 n / 2 * DF_PANEL);
      multiply_row(p, m, u, row, c, n, columns);
    }
  }
  store_panel(p, m, k, columns);
}

static void multiply_panels(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_real *room = df_workspace_take(&p->room);
  for (df_int i = begin; i < end; i++) multiply_panel(p, room, i * DF_PANEL);
  df_workspace_give(&p->room, room);
}

/* For blocks of p->count tiles. */
static df_code open_pass(pass *p, df_int panels) {
  p->pitch = df_odd_lines(p->depth, sizeof(uint16_t));
  p->plane = df_odd_lines(p->count * p->pitch, sizeof(uint16_t));
  df_int v = (POINTS * p->plane + DF_BEHIND * p->pitch) / 2;
  df_int reals = ROW * weight_plane() / 2 + POINTS * output_plane(p);
  reals = df_max(reals, POINTS * p->w.x.C);
  if (df_workspace_open(&p->shared, v + p->w.x.C, 1) != DF_OK) return DF_MEMORY;
  p->v = (void *)p->shared.base, p->zero = p->shared.base + v;
  memset(p->zero, 0, (size_t)p->w.x.C * sizeof *p->zero);
  df_code code = df_workspace_open(&p->room, reals, df_max(p->count, panels));
  if (code != DF_OK) df_workspace_close(&p->shared);
  return code;
}

static df_code run(pass *p) {
  df_int all = p->w.tiles.count, panels = df_ceil_div(p->w.K, DF_PANEL);
  if (all == 0 || panels == 0) return DF_OK;
  df_int block = p->count = df_ceil_div(all, df_ceil_div(all, BLOCK_TILES));
  p->depth = df_half_width(p->w.x.C);
  if (open_pass(p, panels) != DF_OK) return DF_MEMORY;
  for (; p->from < all; p->from += p->count) {
    p->count = df_min(block, all - p->from);
    df_parallel(p->count, df_ceil_div(p->count, CHUNKS), transform_tiles, p);
    df_parallel(panels, 1, multiply_panels, p);
  }
  df_workspace_close(&p->room);
  df_workspace_close(&p->shared);
  return DF_OK;
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  pass p = { .w = df_winograd_ahead(c, y, x, packed, bias, add) };
  p.w.tiles = df_winograd_tiles_of(DF_TILE_SHORT, c->B, c->P, c->Q);
  return run(&p);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  pass p = { .w = df_winograd_back(c, dx, accumulate, dy, packed) };
  p.w.tiles = df_winograd_tiles_of(DF_TILE_SHORT, c->B, c->H, c->W);
  return run(&p);
}

static bool can(const df_conv *c, df_direction d, df_form x) {
  return d != DF_WEIGHT && sizeof(df_real) == sizeof(float) && c->precision == DF_MEDIUM
         && df_winograd_can(c, d, x);
}

/* The fewest tiles of an image. An image of 4 x 4 pixels takes 3 times as long as by
** tiles, though 16 of them take half. */
#define LEAST_TILES 8

/* GF/s on two cores of a Zen 4, whose VDPBF16PS does 468, with weights of 16 bits:
**
**   B, H = W, C, K          short  tall, from taps  tiles of bf16
**    1,   8,  128,  128       469       226           422
**    1,   8,  512,  512       789       370           454
**    2,   8, 1280, 1280       870       425           454
**    2,  32,  640,  640      1110       630           453
**    1, 256,  512,  512      1060       625           441
**   16,  28,   64,   64       655       453           440
**   16,  28,   32,   32       302       240           413
**
** Tall tiles with transformed weights do 540 to 700 of 64 channels and more, as fast as
** these for 64, and their errors are smaller. Tiles of AMX are faster than all. */
static bool pays(const df_conv *c, df_direction d) {
  df_int P = d == DF_DATA ? c->H : c->P, Q = d == DF_DATA ? c->W : c->Q;
  df_int tiles = df_winograd_tiles_of(DF_TILE_SHORT, 1, P, Q).count;
  return d != DF_WEIGHT && df_kernel()->pairs_pay == 1 && df_min(c->C, c->K) > 64
         && tiles >= LEAST_TILES && df_winograd_full(DF_TILE_SHORT, P, Q);
}

const df_algorithm df_conv_winograd_short = { "winograd_short",
                                              df_winograd_form,
                                              can,
                                              pays,
                                              { df_tile_bytes, df_tile_pack },
                                              { df_tile_back_bytes, df_tile_back_pack },
                                              forward,
                                              data,
                                              NULL,
                                              NULL };
