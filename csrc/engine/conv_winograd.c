/* 3 x 3 convolutions of stride 1 as 36 products (kernels/body/winograd.h). Tiles of 4 x 4
** outputs are worked in blocks that fit the second cache. Their inputs are transformed;
** then, for each panel of outputs, the 36 products and the finished pixels follow. The
** gradient of x is the same with turned weights. */
#include "engine/conv_winograd.h"

#include <string.h>

#include "base/pool.h"
#include "engine/conv_weight.h"
#include "engine/gemm.h"
#include "engine/panel.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

#define POINTS 36
#define TAPS   9

/* Reals of an odd number of cache lines. 36 streams at powers of two apart would share a
** few sets of the first cache. */
static df_int odd_lines(df_int reals) {
  df_int line = DF_ALIGN / (df_int)sizeof(df_real), lines = df_ceil_div(reals, line);
  return (lines | 1) * line;
}

static bool rounds(const df_conv *c) { return c->precision == DF_MEDIUM; }

/* Panels of outputs, for C inputs and K outputs. Each is 36 planes of C x panel. */
static df_int weight_plane(df_int C) { return odd_lines(C * df_kernel()->panel); }

static size_t weight_bytes(df_int C, df_int K) {
  df_int panels = df_ceil_div(K, df_kernel()->panel);
  return (size_t)(panels * POINTS * weight_plane(C)) * sizeof(df_real);
}

static size_t bytes(const df_conv *c) { return weight_bytes(c->C, c->K); }
static size_t back_bytes(const df_conv *c) { return weight_bytes(c->K, c->C); }

/* Channels transformed at a time: 36 x 64 x 32 reals stay in the second cache. */
#define CHANNELS 64

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
  df_real *u = p->u + first / width * POINTS * plane + from * width;
  df_real *taps = u + (POINTS - TAPS) * plane;
  for (df_int t = 0; t < TAPS; t++)
    if (p->back)
      df_pack_panel(taps + t * plane, b->at + (TAPS - 1 - t) * b->tap, n, b->row, b->C, 1,
                    rounds(p->c));
    else
      df_pack_panel(taps + t * plane, b->at + t * b->tap, n, 1, b->K, b->row,
                    rounds(p->c));
  kernel->winograd_weights(u, plane, taps, plane, n * width);
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c, false };
  return df_weights_each(w, df_kernel()->panel, CHANNELS, pack_block, &p);
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c, true };
  return df_weights_each(w, CHANNELS, df_kernel()->panel, pack_block, &p);
}

/* ==== tiles ========================================================================= */

/* Tiles of 4 x 4 of B images of P x Q pixels, image by image, line by line. */
typedef struct tiles {
  df_int P, Q, down, across, count;
} tiles;

static tiles tiles_of(df_int B, df_int P, df_int Q) {
  df_int down = df_ceil_div(P, 4), across = df_ceil_div(Q, 4);
  return (tiles){ P, Q, down, across, B * down * across };
}

typedef struct tile {
  df_int n, p, q; /* its image, its first line and pixel */
} tile;

static tile tile_at(const tiles *t, df_int index) {
  df_int line = index / t->across;
  return (tile){ line / t->down, line % t->down * 4, index % t->across * 4 };
}

/* Pointers to size x size pixels of x from (h, w) on. They point to `zero` outside the
** image. */
static void point_to(const df_real **at, const df_image *x, df_int n, df_int h, df_int w,
                     int size, const df_real *zero) {
  for (df_int i = h; i < h + size; i++)
    for (df_int j = w; j < w + size; j++) {
      bool within = i >= 0 && i < x->H && j >= 0 && j < x->W;
      *at++ = within ? df_image_line(x, n, i) + j * x->pixel : zero;
    }
}

/* Replaces `size` pixels by copies in `copy`, which are reals rounded to bf16. Pixels
** outside the image stay `zero`. */
static void round_pixels(const df_real **at, df_form form, int size, df_int C,
                         const df_real *zero, df_real *copy) {
  const df_kernels *kernel = df_kernel();
  for (int j = 0; j < size; j++, copy += C) {
    if (at[j] == zero) continue;
    if (form == DF_HALF) kernel->from_bf16(copy, (const void *)at[j], C);
    else kernel->round_bf16(copy, at[j], C);
    at[j] = copy;
  }
}

/* ==== forward, and to x ============================================================= */

typedef struct pass {
  df_image x;
  df_int top, left, K;
  const df_real *u;
  df_real *y;   /* B, P, Q, K */
  df_int pixel; /* from a pixel of y to the next */
  const df_real *bias, *add;
  bool accumulate, round;
  tiles tiles;
  df_int blocks, groups; /* number of blocks of tiles, of groups of panels */
  /* pitch from a tile to the next, from a point to the next; the same for outputs */
  df_int pitch, plane, output;
  df_workspace room; /* inputs and outputs of a block, and a pixel of zeros */
} pass;

static void transform_inputs(const pass *p, df_real *v, const df_real *zero,
                             df_real *copy, df_int from, df_int count) {
  const df_real *pixel[POINTS];
  for (df_int i = 0; i < count; i++) {
    tile t = tile_at(&p->tiles, from + i);
    point_to(pixel, &p->x, t.n, t.p - p->top, t.q - p->left, 6, zero);
    if (p->round) round_pixels(pixel, p->x.form, POINTS, p->x.C, zero, copy);
    df_kernel()->winograd_inputs(v + i * p->pitch, p->plane, pixel, p->x.C);
  }
}

/* Columns [k, k + n) of a block's outputs: one panel. */
static void finish_outputs(const pass *p, const df_real *m, df_int from, df_int count,
                           df_int k, df_int n) {
  df_int P = p->tiles.P, Q = p->tiles.Q, panel = df_kernel()->panel, at[16];
  for (df_int i = 0; i < count; i++) {
    tile t = tile_at(&p->tiles, from + i);
    for (df_int j = 0; j < 16; j++) {
      df_int h = t.p + j / 4, w = t.q + j % 4;
      at[j] = h < P && w < Q ? ((t.n * P + h) * Q + w) * p->pixel : -1;
    }
    df_kernel()->winograd_outputs(p->y + k, at, m + i * panel, p->output,
                                  p->bias ? p->bias + k : NULL,
                                  p->add ? p->add + k : NULL, p->accumulate, n);
  }
}

static void work_block(const pass *p, df_real *room, df_int from, df_int count,
                       df_int first, df_int last) {
  const df_kernels *kernel = df_kernel();
  df_int panel = kernel->panel, none = 0, C = p->x.C, plane = weight_plane(C);
  df_real *v = room, *m = v + POINTS * p->plane, *zero = m + POINTS * p->output;
  memset(zero, 0, (size_t)C * sizeof *zero);
  transform_inputs(p, v, zero, zero + C, from, count);
  for (df_int i = first; i < last; i++) {
    df_int n = df_min(panel, p->K - i * panel);
    for (df_int j = 0; j < POINTS; j++)
      kernel->rows(m + j * p->output, panel, v + j * p->plane, p->pitch, &none, 1,
                   p->u + (i * POINTS + j) * plane, NULL, NULL, 0, false, count, C, n);
    finish_outputs(p, m, from, count, i * panel, n);
  }
}

static void run_items(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_int panels = df_ceil_div(p->K, df_kernel()->panel), count = p->tiles.count;
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
  df_int panels = df_ceil_div(p->K, df_kernel()->panel);
  if (p->tiles.count == 0 || p->K == 0) return DF_OK;
  p->blocks = df_ceil_div(p->tiles.count, BLOCK_TILES);
  p->groups = df_min(panels, df_ceil_div(ITEMS_WANTED, p->blocks));
  df_int block = df_ceil_div(p->tiles.count, p->blocks);
  p->pitch = odd_lines(p->x.C);
  p->plane = odd_lines(block * p->pitch);
  p->output = odd_lines(block * df_kernel()->panel);
  df_int pixels = p->x.C * (p->round ? 1 + POINTS : 1); /* zeros, and rounded pixels */
  df_int reals = POINTS * (p->plane + p->output) + pixels, items = p->blocks * p->groups;
  if (df_workspace_open(&p->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, p);
  df_workspace_close(&p->room);
  return DF_OK;
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  pass p = { .x = *x,
             .top = c->top,
             .left = c->left,
             .K = c->K,
             .u = packed,
             .y = y,
             .pixel = df_conv_pitch(c, c->K),
             .bias = bias,
             .add = add,
             .round = rounds(c),
             .tiles = tiles_of(c->B, c->P, c->Q) };
  return run(&p);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  pass p = { .x = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
             .top = 2 - c->top,
             .left = 2 - c->left,
             .K = c->C,
             .u = packed,
             .y = dx,
             .pixel = df_conv_pitch(c, c->C),
             .accumulate = accumulate,
             .round = rounds(c),
             .tiles = tiles_of(c->B, c->H, c->W) };
  return run(&p);
}

/* ==== to the weights ================================================================ */

typedef struct gradient {
  df_conv c;
  const df_image *x;
  df_image dy;
  tiles tiles;
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
  const df_real *pixel[POINTS];
  df_int panel = kernel->panel, K = g->c.K;
  df_real *copy = rounds(&g->c) ? df_workspace_take(&g->copies) : NULL;
  for (df_int i = begin; i < end; i++) {
    tile t = tile_at(&g->tiles, g->from + i);
    point_to(pixel, g->x, t.n, t.p - g->c.top, t.q - g->c.left, 6, g->zero);
    if (copy) round_pixels(pixel, g->x->form, POINTS, g->c.C, g->zero, copy);
    kernel->winograd_inputs(g->v + i * g->pitch, g->inputs, pixel, g->c.C);
    point_to(pixel, &g->dy, t.n, t.p, t.q, 4, g->zero);
    if (copy) round_pixels(pixel, DF_ROWS, 16, K, g->zero, copy);
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
    g->inputs = odd_lines(g->count * g->pitch);
    g->outputs = odd_lines(g->count * panels);
    df_parallel(g->count, 4, transform_items, g);
    df_parallel(POINTS * g->down * g->across, 1, sum_items, g);
  }
}

static df_code weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                      const df_real *dy) {
  gradient g = { .c = *c,
                 .x = x,
                 .dy = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K),
                 .tiles = tiles_of(c->B, c->P, c->Q),
                 .pitch = odd_lines(c->C) };
  df_int panel = df_kernel()->panel, wide = df_ceil_div(c->K, panel) * panel;
  df_int chunk = df_max(64, CHUNK_REALS / (POINTS * (g.pitch + wide)));
  chunk = df_ceil_div(g.tiles.count, df_max(1, df_ceil_div(g.tiles.count, chunk)));
  df_int zeros = df_max(c->C, wide), sums = POINTS * c->C * c->K;
  df_int v = POINTS * odd_lines(chunk * g.pitch), z = POINTS * odd_lines(chunk * wide);
  df_workspace room;
  if (df_workspace_open(&room, v + z + sums + zeros, 1) != DF_OK) return DF_MEMORY;
  g.v = room.base, g.z = g.v + v, g.s = g.z + z;
  df_real *zero = g.s + sums;
  memset(zero, 0, (size_t)zeros * sizeof *zero);
  /* columns without an output */
  if (wide > c->K) memset(g.z, 0, (size_t)z * sizeof *g.z);
  if (g.tiles.count == 0) memset(g.s, 0, (size_t)sums * sizeof *g.s);
  g.zero = zero;
  df_int copies = rounds(c) ? df_max(POINTS * c->C, 16 * wide) : 0;
  df_code code = df_workspace_open(&g.copies, copies, chunk);
  if (code == DF_OK) sum_tiles(&g, chunk);
  if (code == DF_OK) {
    df_workspace_close(&g.copies);
    df_parallel(c->C * c->K, FINISHED, finish_items, &g);
    code = df_weight_fold(dw, accumulate, g.s, 1, TAPS * c->C, c->K);
  }
  df_workspace_close(&room);
  return code;
}

/* ==== the algorithm ================================================================= */

/* Pixels outside are one pixel of zeros, so the image needs none around it. But rounded
** pixels take half the memory. */
static df_form form(const df_conv *c) { return rounds(c) ? DF_HALF : DF_ROWS; }

static bool can(const df_conv *c, df_direction d, df_form x) {
  (void)d;
  bool plain = x == DF_ROWS || x == DF_PADDED;
  return c->R == 3 && c->S == 3 && c->stride == 1
         && (plain || (x == DF_HALF && rounds(c)));
}

/* The least number of tiles of an image. */
static df_int least_tiles(const df_conv *c) {
  if (c->half) return rounds(c) ? 64 : 16;
  return 4;
}

/* Few channels have transforms but hardly any products. Tiles that stick out of the image
** waste their work. A million weights take 150 MB transformed. If tiles are few, the
** transformed weights are read from far away for little work. With weights in memory, one
** image of 8 x 8 and 256 channels (4 tiles) takes as long as taps, 0.5 ms on two cores;
** sixteen images take half as long. One image of 4 x 4 takes 0.34 ms against 0.13.
** Gradients of weights have a batch of tiles.
**
** Weights of 16 bits are packed in each product, which takes as long as about 16 tiles.
** One image of 16 x 16 and 640 channels takes 6 ms, against 8 by taps that are packed
** already. Against bf16 it pays from 64 tiles on. */
static bool pays(const df_conv *c, df_direction d) {
  df_int P = d == DF_DATA ? c->H : c->P, Q = d == DF_DATA ? c->W : c->Q;
  df_int count = df_ceil_div(P, 4) * df_ceil_div(Q, 4);
  if (c->precision == DF_HIGHEST || sizeof(df_real) != sizeof(float)) return false;
  return df_min(c->C, c->K) >= 16 && c->C * c->K <= 1 << 20 && count * 16 * 5 <= P * Q * 9
         && (d == DF_WEIGHT ? c->B * count >= 48 : count >= least_tiles(c));
}

const df_algorithm df_conv_winograd = {
  "winograd", form, can,    pays, { bytes, pack }, { back_bytes, back_pack },
  forward,    data, weight, true
};
