/* This multiplies taps over flat rows of bf16 (flat.h): forward, and backward to the
** data. Backward has turned weights and a pass for each phase of the stride. A 1 x 1
** kernel is rows without taps. */
#include "engine/conv_tile.h"

#include "base/pool.h"
#include "engine/conv_tap.h"
#include "engine/conv_winograd.h"
#include "engine/flat.h"
#include "engine/pitch.h"
#include "engine/tile_weight.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

/* Pixels of an item. They leave half of the second cache to panels of weights, which are
** read once for each item. With pixels of 1 KB, 512 are 4 % faster than 256; with 2 KB,
** as much slower. */
#define BLOCK_PIXELS 256
#define BLOCK_BYTES  (512 * 1024)
/* Rows of an item of a 1 x 1 kernel. All weights pass by for each block of rows. So few
** rows stay together, and their items are groups of panels, which share the planes. */
#define ROWS_BLOCK   256
#define TALL         32 /* rows of a block of tiles */
#define ITEMS_WANTED 8  /* enough for a few threads */
/* Rows that exceed the second cache are read a slice of channels at a time, all panels of
** weights with each. A convolution of 2560 channels then takes 0.75 of the time, and a
** linear layer of 5120 takes 0.8. Each slice costs another pass over y. */
#define SLICE_BYTES      (1024 * 1024)
#define SLICE_BYTES_ROWS (1344 * 1024) /* rows without taps, which are read once */

/* ==== packed weights ================================================================ */

/* Panels have taps x channels x DF_PANEL columns, each in one or two planes. */
typedef struct panels {
  df_int taps, depth, K; /* depth: channels of a tap, a multiple of 32 */
  int planes;
} panels;

static panels panels_of(df_int taps, df_int C, df_int K, df_precision precision) {
  return (panels){ taps, df_half_width(C), K, df_flat_planes(precision) };
}

static df_int plane_of(const panels *p) { return p->taps * p->depth * DF_PANEL; }
static df_int low_of(const panels *p) { return p->planes == 2 ? plane_of(p) : 0; }
static df_int panel_of(const panels *p) { return plane_of(p) * p->planes; }
static df_int count_of(const panels *p) { return df_ceil_div(p->K, DF_PANEL); }
static df_int halves_of(const panels *p) { return count_of(p) * panel_of(p); }

static panels ahead_panels(const df_conv *c) {
  return panels_of(c->R * c->S, c->C, c->K, c->precision);
}

size_t df_tile_bytes(const df_conv *c) {
  panels p = ahead_panels(c);
  return (size_t)halves_of(&p) * sizeof(uint16_t);
}

typedef struct packing {
  uint16_t *to;
  const df_conv *c;
} packing;

/* Channels of a panel; the last ones with the zeros behind them. */
static void pack_ahead(const void *context, const df_weight_block *b) {
  const packing *p = context;
  panels of = ahead_panels(p->c);
  uint16_t *to = p->to + b->k / DF_PANEL * panel_of(&of) + b->c * DF_PANEL;
  df_int tall = b->c + b->C < p->c->C ? b->C : of.depth - b->c;
  for (df_int t = 0; t < of.taps; t++)
    df_kernel()->pair_columns(to + t * of.depth * DF_PANEL, 0, low_of(&of),
                              b->at + t * b->tap, b->row, b->C, b->K, tall);
}

df_code df_tile_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c };
  return df_weights_each(w, DF_PANEL, DF_WEIGHTS_ALL, pack_ahead, &p);
}

/* rows of w packed at a time; all their channels are read in order */
#define ROWS_PACKED DF_PANEL

/* Phase i of stride x stride, and its weights. */
static panels back_panels(const df_conv *c, df_int i, df_phase *v, df_phase *h) {
  *v = df_phase_of(i / c->stride, c->R, c->stride, c->top, c->H);
  *h = df_phase_of(i % c->stride, c->S, c->stride, c->left, c->W);
  return panels_of(v->taps * h->taps, c->K, c->C, c->precision);
}

size_t df_tile_back_bytes(const df_conv *c) {
  size_t size = 0;
  for (df_int i = 0; i < c->stride * c->stride; i++) {
    df_phase v, h;
    panels p = back_panels(c, i, &v, &h);
    size += (size_t)halves_of(&p) * sizeof(uint16_t);
  }
  return size;
}

/* Taps in the order in which dy is read, channels K, columns C. */
static void pack_phase(const df_conv *c, uint16_t *to, const df_weight_block *b,
                       df_int i) {
  df_phase v, h;
  panels of = back_panels(c, i, &v, &h);
  to += b->c / DF_PANEL * panel_of(&of) + b->k * DF_PANEL;
  for (df_int t = 0; t < of.taps; t++) {
    df_int r = v.phase + c->stride * (v.taps - 1 - t / h.taps);
    df_int s = h.phase + c->stride * (h.taps - 1 - t % h.taps);
    df_kernel()->pair_rows(to + t * of.depth * DF_PANEL, panel_of(&of), low_of(&of),
                           b->at + (r * c->S + s) * b->tap, b->row, b->K, b->C,
                           ROWS_PACKED);
  }
}

static void pack_back(const void *context, const df_weight_block *b) {
  const packing *p = context;
  uint16_t *to = p->to;
  for (df_int i = 0; i < p->c->stride * p->c->stride; i++) {
    df_phase v, h;
    panels of = back_panels(p->c, i, &v, &h);
    pack_phase(p->c, to, b, i);
    to += halves_of(&of);
  }
}

df_code df_tile_back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c };
  return df_weights_each(w, ROWS_PACKED, DF_WEIGHTS_ALL, pack_back, &p);
}

/* ==== one pass ====================================================================== */

/* y (blocks of P lines of Q pixels of K, at any pitch) = the flat rows of x times w. */
typedef struct pass {
  df_flat flat;
  panels w;
  const uint16_t *packed;
  df_real *y;
  df_int pixel, line, image; /* pitches of y, and of add */
  const df_real *bias, *add;
  bool accumulate;
  df_int groups; /* number of groups of panels: items share a block's columns */
  df_int slice;  /* channels of a slice */
  df_workspace room;
} pass;

/* The panels of group g, for rows that begin at y + at. */
static df_pairs pairs_of(const pass *p, df_int g, df_int at) {
  df_int count = count_of(&p->w), from = g * count / p->groups;
  df_int k = from * DF_PANEL, to = (g + 1) * count / p->groups * DF_PANEL;
  return (df_pairs){ .K = df_min(to, p->w.K) - k,
                     .C = p->w.depth,
                     .y = p->y + at + k,
                     .ldx = p->flat.pixel,
                     .x_low = p->flat.low,
                     .taps = p->w.taps,
                     .w = p->packed + from * panel_of(&p->w),
                     .panel = panel_of(&p->w),
                     .w_low = low_of(&p->w),
                     .bias = p->bias ? p->bias + k : NULL,
                     .add = p->add ? p->add + at + k : NULL,
                     .accumulate = p->accumulate };
}

/* Channels of a slice, for so many rows. It must not depend on the batch, since sums are
** taken slice by slice. */
static df_int slice_of(const pass *p, df_int rows) {
  df_int bytes = p->w.taps > 1 ? SLICE_BYTES : SLICE_BYTES_ROWS;
  df_int most = bytes / (rows * p->w.planes * (df_int)sizeof(uint16_t));
  df_int slices = df_ceil_div(p->w.depth, df_max(32, most));
  return df_half_width(df_ceil_div(p->w.depth, slices));
}

/* The product of an item's rows with its panels. */
static void run_slices(const pass *p, df_pairs *r) {
  df_int depth = p->w.depth;
  r->w_tall = depth;
  for (df_int c = 0; c < depth; c += p->slice) {
    r->C = df_min(p->slice, depth - c);
    df_kernel()->pairs(r);
    r->x += r->C, r->w += r->C * DF_PANEL;
    r->bias = r->add = NULL, r->accumulate = true;
  }
}

static df_int reals_for(df_int bytes) {
  df_int size = (df_int)sizeof(df_real);
  return df_ceil_div(bytes, size * 16) * 16;
}

static df_int places(const pass *p) {
  return reals_for(df_flat_most(&p->flat) * (df_int)sizeof(df_int));
}

static void run_items(void *context, df_int begin, df_int end) {
  pass *p = context;
  const df_flat *f = &p->flat;
  df_int tap[DF_TAPS_MAX];
  df_real *piece = df_workspace_take(&p->room);
  df_int *place = (void *)piece;
  for (df_int t = 0; t < p->w.taps; t++)
    tap[t] = df_flat_tap(f, t / f->S, t % f->S) * f->pixel;
  for (df_int item = begin; item < end; item++) {
    df_block b = df_block_at(&f->blocks, item / p->groups);
    df_pairs r = pairs_of(p, item % p->groups, b.n * p->image + b.p * p->line);
    df_flat_place(f, &b, place, p->pixel, p->line, p->image);
    r.m = df_flat_count(f, &b), r.place = place, r.tap = tap;
    r.x = df_flat_rows(f, &b, (void *)(piece + places(p)));
    run_slices(p, &r);
  }
  df_workspace_give(&p->room, piece);
}

static df_code run(pass *p) {
  df_int bytes = p->w.depth * p->w.planes * (df_int)sizeof(uint16_t);
  df_flat_open(&p->flat,
               df_max(BLOCK_PIXELS, df_min(2 * BLOCK_PIXELS, BLOCK_BYTES / bytes)));
  df_int blocks = p->flat.blocks.count, count = count_of(&p->w);
  if (blocks == 0 || count == 0) return DF_OK;
  p->slice = slice_of(p, BLOCK_PIXELS);
  p->groups = df_min(count, df_ceil_div(ITEMS_WANTED, blocks));
  df_int items = blocks * p->groups;
  df_int copy = reals_for(df_flat_room(&p->flat) * (df_int)sizeof(uint16_t));
  if (df_workspace_open(&p->room, places(p) + copy, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, p);
  df_workspace_close(&p->room);
  return DF_OK;
}

/* ==== rows: a 1 x 1 kernel ========================================================== */

typedef struct rows_run {
  pass p;
  const df_real *x;
  df_int m, C;
  df_int blocks;       /* number of blocks of rows */
  df_workspace common; /* planes of all rows, if groups share them */
} rows_run;

/* The first row of a block, a multiple of a block of tiles. */
static df_int row_of(const rows_run *run, df_int block) {
  return df_min(run->m, block * df_ceil_div(run->m, TALL) / run->blocks * TALL);
}

static void planes_of_rows(const rows_run *run, uint16_t *to, df_int row, df_int m) {
  const pass *p = &run->p;
  df_kernel()->planes(to, p->flat.pixel, p->flat.low, run->x + row * run->C, run->C, m,
                      run->C, p->w.depth);
}

static void planes_items(void *context, df_int begin, df_int end) {
  const rows_run *run = context;
  uint16_t *to = (void *)run->common.base;
  df_int row = begin * TALL;
  planes_of_rows(run, to + row * run->p.flat.pixel, row,
                 df_min(end * TALL, run->m) - row);
}

static void rows_items(void *context, df_int begin, df_int end) {
  rows_run *run = context;
  pass *p = &run->p;
  df_int none = 0;
  bool shared = p->groups > 1;
  df_real *piece = shared ? run->common.base : df_workspace_take(&p->room);
  for (df_int item = begin; item < end; item++) {
    df_int block = item / p->groups, row = row_of(run, block);
    uint16_t *x = (void *)piece;
    df_pairs r = pairs_of(p, item % p->groups, row * p->pixel);
    r.m = row_of(run, block + 1) - row, r.ldy = p->pixel;
    if (shared) x += row * p->flat.pixel;
    else planes_of_rows(run, x, row, r.m);
    r.x = x, r.tap = &none;
    run_slices(p, &r);
  }
  if (!shared) df_workspace_give(&p->room, piece);
}

/* p->w, packed, y, pixel, bias, add and accumulate are set. */
static df_code run_rows(const pass *p, const df_real *x, df_int m, df_int C) {
  rows_run run = { .p = *p, .x = x, .m = m, .C = C };
  df_int blocks = run.blocks = df_ceil_div(m, ROWS_BLOCK), count = count_of(&p->w);
  if (m == 0 || count == 0) return DF_OK;
  run.p.slice = slice_of(p, ROWS_BLOCK);
  run.p.flat.pixel = p->w.depth * p->w.planes;
  if (df_rows_collide(run.p.flat.pixel, sizeof(uint16_t)))
    run.p.flat.pixel = df_odd_lines(run.p.flat.pixel, sizeof(uint16_t));
  run.p.flat.low = p->w.planes == 2 ? p->w.depth : 0;
  run.p.groups = df_min(count, df_ceil_div(ITEMS_WANTED, blocks));
  bool shared = run.p.groups > 1;
  df_workspace *room = shared ? &run.common : &run.p.room;
  df_int rows = (shared ? m : ROWS_BLOCK) + DF_BEHIND, items = blocks * run.p.groups;
  df_int bytes = rows * run.p.flat.pixel * (df_int)sizeof(uint16_t);
  if (df_workspace_open(room, reals_for(bytes), shared ? 1 : items) != DF_OK)
    return DF_MEMORY;
  if (shared) df_parallel(df_ceil_div(m, TALL), 1, planes_items, &run);
  df_parallel(items, 1, rows_items, &run);
  df_workspace_close(room);
  return DF_OK;
}

/* ==== the directions ================================================================ */

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  df_int pixel = df_conv_pitch(c, c->K);
  pass p = { .flat = df_flat_of(c, x),
             .w = ahead_panels(c),
             .packed = packed,
             .y = y,
             .pixel = pixel,
             .line = c->Q * pixel,
             .image = c->P * c->Q * pixel,
             .bias = bias,
             .add = add };
  bool plain = df_flat_is_rows(c, x->form);
  return plain ? run_rows(&p, x->at, c->B * c->H * c->W, c->C) : run(&p);
}

/* Zeroes pixels that no output has read. */
static void clear_pixels(const pass *p) {
  for (df_int n = 0; n < p->flat.x.B; n++)
    for (df_int i = 0; i < p->flat.P; i++)
      for (df_int j = 0; j < p->flat.Q; j++)
        for (df_int k = 0; k < p->w.K; k++)
          p->y[n * p->image + i * p->line + j * p->pixel + k] = 0;
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  const uint16_t *w = packed;
  df_int pixel = df_conv_pitch(c, c->C), st = c->stride;
  for (df_int i = 0; i < st * st; i++) {
    df_phase v, h;
    panels of = back_panels(c, i, &v, &h);
    pass p = { .flat = { .x = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
                         .R = v.taps,
                         .S = h.taps,
                         .stride = 1,
                         .top = v.before,
                         .left = h.before,
                         .P = v.count,
                         .Q = h.count,
                         .planes = df_flat_planes(c->precision) },
               .w = of,
               .packed = w,
               .y = dx + (v.first * c->W + h.first) * pixel,
               .pixel = st * pixel,
               .line = st * c->W * pixel,
               .image = c->H * c->W * pixel,
               .accumulate = accumulate };
    if (df_flat_is_rows(c, DF_ROWS)) return run_rows(&p, dy, c->B * c->H * c->W, c->K);
    w += halves_of(&of);
    if (of.taps == 0 && !accumulate) clear_pixels(&p);
    if (of.taps > 0 && run(&p) != DF_OK) return DF_MEMORY;
  }
  return DF_OK;
}

/* ==== the algorithm ================================================================= */

static df_form form(const df_conv *c) {
  bool even = c->top == 1 && c->left == 1 && c->P == c->H && c->Q == c->W;
  bool flat = c->R == 3 && c->S == 3 && c->stride == 1 && even;
  return !flat ? DF_ROWS : df_flat_planes(c->precision) == 2 ? DF_HALVES : DF_HALF;
}

static bool can(const df_conv *c, df_direction d, df_form x) {
  (void)d;
  if (df_flat_planes(c->precision) == 0 || c->R * c->S > DF_TAPS_MAX) return false;
  df_flat f = df_flat_of(c, &(df_image){ .form = x, .H = c->H, .W = c->W });
  return x == DF_ROWS || x == DF_PADDED || df_flat_direct(&f);
}

/* Winograd in rounded reals does 500 to 690 GF/s for images with 16 tiles or more and
** many channels, and 410 to 460 to weights. VDPBF16PS does 450 and 340, tiles of AMX
** three times that. */
static bool winograd_is_faster(const df_conv *c, df_direction d) {
  df_int P = d == DF_DATA ? c->H : c->P, Q = d == DF_DATA ? c->W : c->Q;
  bool many = d == DF_WEIGHT || df_ceil_div(P, 4) * df_ceil_div(Q, 4) >= 16;
  return df_kernel()->pairs_pay == 1 && many && df_min(c->C, c->K) >= 64
         && df_conv_winograd.can(c, d, df_conv_winograd.form(c))
         && df_conv_winograd.pays(c, d);
}

/* Channels and columns are padded to 32 here, while `rows` pads a few columns to 16. This
** algorithm has twice the rate of `rows`; padding must not cost more than that gains. */
static bool pays(const df_conv *c, df_direction d) {
  df_int C = d == DF_DATA ? c->K : c->C, K = d == DF_DATA ? c->C : c->K;
  if (df_kernel()->pairs_pay < df_flat_planes(c->precision)) return false;
  df_int ours = df_half_width(C) * df_half_width(K);
  return ours < 2 * C * df_ceil_div(K, 16) * 16 && !winograd_is_faster(c, d);
}

const df_algorithm df_conv_tiles = { "tiles",
                                     form,
                                     can,
                                     pays,
                                     { df_tile_bytes, df_tile_pack },
                                     { df_tile_back_bytes, df_tile_back_pack },
                                     forward,
                                     data,
                                     df_tile_weight,
                                     df_tile_weight_parts };
