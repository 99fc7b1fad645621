/* One pass multiplies shifted lines, block by block. Convolutions are made of passes. */
#include "engine/conv_tap.h"

#include <string.h>

#include "base/pool.h"
#include "engine/blocks.h"
#include "engine/conv_weight.h"
#include "engine/panel.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

/* ==== one pass ====================================================================== */

/* y (P lines of Q pixels of K, at any pitch) from R taps of S C reals of lines of x. Line
** p reads lines p stride - top ..., pixel q reads pixels q stride - left ... */
typedef struct pass {
  df_image x;
  df_int R, S, stride, top, left;
  const df_real *packed;
  df_int P, Q, K;
  df_real *y;
  df_int pixel, line, image; /* pitches of y, and of add */
  const df_real *bias, *add;
  bool accumulate, round;
  bool direct;       /* taps read x in place, else padded copies of its lines */
  df_int wide, span; /* reals of a copied line, lines of a copied block */
  df_blocks blocks;
  df_int groups; /* number of groups of panels: tasks share a block's columns */
  df_workspace room;
} pass;

static bool within(df_int first, df_int last, df_int size, df_int zeros) {
  return first >= -zeros && last < size + zeros;
}

static bool readable(const pass *p) {
  df_int z = p->x.form == DF_PADDED, down = (p->P - 1) * p->stride,
         right = (p->Q - 1) * p->stride;
  return !p->round && within(-p->top, down + p->R - 1 - p->top, p->x.H, z)
         && within(-p->left, right + p->S - 1 - p->left, p->x.W, z);
}

static void zero(df_real *y, df_int n) { memset(y, 0, (size_t)n * sizeof *y); }

/* One line of x with its padding, `wide` reals; h may lie outside. */
static void copy_line(const pass *p, df_real *to, df_int n, df_int h) {
  df_int C = p->x.C, from = df_max(0, -p->left), to_pixel = df_max(0, p->left);
  df_int count = df_min(p->x.W - from, p->wide / C - to_pixel);
  if (h < 0 || h >= p->x.H || count <= 0) {
    zero(to, p->wide);
    return;
  }
  const df_real *x = df_image_line(&p->x, n, h) + from * C;
  df_real *middle = to + to_pixel * C;
  zero(to, to_pixel * C);
  if (p->round) df_kernel()->round_bf16(middle, x, count * C);
  else memcpy(middle, x, (size_t)(count * C) * sizeof *x);
  zero(middle + count * C, p->wide - (to_pixel + count) * C);
}

static void copy_lines(const pass *p, df_real *to, const df_block *b) {
  df_int span = (b->lines - 1) * p->stride + p->R;
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < span; j++)
      copy_line(p, to + (i * p->span + j) * p->wide, b->n + i,
                b->p * p->stride + j - p->top);
}

/* The columns of one panel, for all lines of a block. */
static void panel_of_block(const pass *p, const df_real *copy, const df_block *b,
                           df_int k) {
  const df_kernels *kernel = df_kernel();
  df_int tap[DF_TAPS_MAX], C = p->x.C, pitch = copy ? p->wide : p->x.line;
  for (df_int r = 0; r < p->R; r++) tap[r] = r * pitch;
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < b->lines; j++) {
      df_int at = (b->n + i) * p->image + (b->p + j) * p->line + k;
      df_int down = (b->p + j) * p->stride - p->top;
      const df_real *x =
          copy ? copy + (i * p->span + j * p->stride) * pitch
               : p->x.at + (b->n + i) * p->x.image + down * pitch - p->left * C;
      kernel->rows(p->y + at, p->pixel, x, p->stride * C, tap, p->R,
                   p->packed + k * p->R * p->S * C, p->bias ? p->bias + k : NULL,
                   p->add ? p->add + at : NULL, p->pixel, p->accumulate, p->Q, p->S * C,
                   df_min(kernel->panel, p->K - k));
    }
}

static void run_items(void *context, df_int begin, df_int end) {
  pass *p = context;
  df_int panel = df_kernel()->panel, panels = df_ceil_div(p->K, panel);
  df_real *copy = p->direct ? NULL : df_workspace_take(&p->room);
  for (df_int item = begin; item < end; item++) {
    df_block b = df_block_at(&p->blocks, item / p->groups);
    df_int g = item % p->groups;
    if (copy) copy_lines(p, copy, &b);
    for (df_int i = g * panels / p->groups; i < (g + 1) * panels / p->groups; i++)
      panel_of_block(p, copy, &b, i * panel);
  }
  if (copy) df_workspace_give(&p->room, copy);
}

#define ITEMS_WANTED 8 /* enough for a few threads */

static df_code run(pass *p) {
  df_int panels = df_ceil_div(p->K, df_kernel()->panel);
  p->blocks = df_blocks_of(p->x.B, p->P, p->Q);
  if (p->blocks.count == 0 || panels == 0) return DF_OK;
  p->groups = df_min(panels, df_ceil_div(ITEMS_WANTED, p->blocks.count));
  p->direct = readable(p);
  p->wide = ((p->Q - 1) * p->stride + p->S) * p->x.C;
  p->span = (p->blocks.lines - 1) * p->stride + p->R;
  df_int items = p->blocks.count * p->groups;
  df_int reals = p->direct ? 0 : p->blocks.images * p->span * p->wide;
  if (!p->direct && df_workspace_open(&p->room, reals, items) != DF_OK) return DF_MEMORY;
  df_parallel(items, 1, run_items, p);
  if (!p->direct) df_workspace_close(&p->room);
  return DF_OK;
}

/* ==== forward ======================================================================= */

static bool rounds(const df_conv *c) { return c->precision == DF_MEDIUM; }

static size_t bytes(const df_conv *c) {
  return (size_t)df_packed_size(c->R * c->S * c->C, c->K) * sizeof(df_real);
}

static df_code pack(void *packed, const df_weights *w, const df_conv *c) {
  df_panels to = { packed, DF_PACK_REALS, rounds(c) };
  return df_panels_outputs(&to, w);
}

static df_code forward(const df_conv *c, df_real *y, const df_image *x,
                       const void *packed, const df_real *bias, const df_real *add) {
  df_int pixel = df_conv_pitch(c, c->K);
  pass p = { .x = *x,
             .R = c->R,
             .S = c->S,
             .stride = c->stride,
             .top = c->top,
             .left = c->left,
             .packed = packed,
             .P = c->P,
             .Q = c->Q,
             .K = c->K,
             .y = y,
             .pixel = pixel,
             .line = c->Q * pixel,
             .image = c->P * c->Q * pixel,
             .bias = bias,
             .add = add,
             .round = rounds(c) };
  return run(&p);
}

/* ==== backward to the data ========================================================== */

df_phase df_phase_of(df_int at, df_int kernel, df_int stride, df_int before,
                     df_int size) {
  df_int first = ((at - before) % stride + stride) % stride;
  df_int taps = at < kernel ? df_ceil_div(kernel - at, stride) : 0;
  df_int count = first < size ? df_ceil_div(size - first, stride) : 0;
  return (df_phase){ at, taps, first, count, taps - 1 - (first + before - at) / stride };
}

static df_int phase_packed(const df_conv *c, const df_phase *v, const df_phase *h) {
  return df_packed_size(v->taps * h->taps * c->K, c->C);
}

static size_t back_bytes(const df_conv *c) {
  df_int size = 0;
  for (df_int i = 0; i < c->stride * c->stride; i++) {
    df_phase v = df_phase_of(i / c->stride, c->R, c->stride, c->top, c->H);
    df_phase h = df_phase_of(i % c->stride, c->S, c->stride, c->left, c->W);
    size += phase_packed(c, &v, &h);
  }
  return (size_t)size * sizeof(df_real);
}

typedef struct packing {
  df_real *packed;
  const df_conv *c;
} packing;

/* Taps in the order in which dy is read, channels K, columns C. */
static void pack_phase(const df_conv *c, df_real *packed, const df_weight_block *b,
                       const df_phase *v, const df_phase *h) {
  df_int taps = v->taps * h->taps, panel = df_kernel()->panel;
  for (df_int t = 0; t < taps; t++) {
    df_int r = v->phase + c->stride * (v->taps - 1 - t / h->taps);
    df_int s = h->phase + c->stride * (h->taps - 1 - t % h->taps);
    df_pack_panel(packed + (b->c * taps + t * panel) * c->K + b->k * panel,
                  b->at + (r * c->S + s) * b->tap, b->K, b->row, b->C, 1, rounds(c));
  }
}

static void pack_phases(const void *context, const df_weight_block *b) {
  const packing *p = context;
  const df_conv *c = p->c;
  df_real *to = p->packed;
  for (df_int i = 0; i < c->stride * c->stride; i++) {
    df_phase v = df_phase_of(i / c->stride, c->R, c->stride, c->top, c->H);
    df_phase h = df_phase_of(i % c->stride, c->S, c->stride, c->left, c->W);
    pack_phase(c, to, b, &v, &h);
    to += phase_packed(c, &v, &h);
  }
}

static df_code back_pack(void *packed, const df_weights *w, const df_conv *c) {
  packing p = { packed, c };
  return df_weights_each(w, DF_WEIGHTS_ALL, df_kernel()->panel, pack_phases, &p);
}

/* Zeroes pixels that no output has read. */
static void clear_phase(const pass *p) {
  for (df_int n = 0; n < p->x.B; n++)
    for (df_int i = 0; i < p->P; i++)
      for (df_int j = 0; j < p->Q; j++)
        zero(p->y + n * p->image + i * p->line + j * p->pixel, p->K);
}

static df_code data(const df_conv *c, df_real *dx, bool accumulate, const df_real *dy,
                    const void *packed) {
  const df_real *w = packed;
  df_int pixel = df_conv_pitch(c, c->C), st = c->stride;
  df_image from = df_image_of(DF_ROWS, dy, c->B, c->P, c->Q, c->K);
  for (df_int i = 0; i < st * st; i++) {
    df_phase v = df_phase_of(i / st, c->R, st, c->top, c->H);
    df_phase h = df_phase_of(i % st, c->S, st, c->left, c->W);
    pass p = { .x = from,
               .R = v.taps,
               .S = h.taps,
               .stride = 1,
               .top = v.before,
               .left = h.before,
               .packed = w,
               .P = v.count,
               .Q = h.count,
               .K = c->C,
               .y = dx + (v.first * c->W + h.first) * pixel,
               .pixel = st * pixel,
               .line = st * c->W * pixel,
               .image = c->H * c->W * pixel,
               .accumulate = accumulate,
               .round = rounds(c) };
    w += phase_packed(c, &v, &h);
    bool met = v.taps > 0 && h.taps > 0;
    if (!met && !accumulate) clear_phase(&p);
    if (met && run(&p) != DF_OK) return DF_MEMORY;
  }
  return DF_OK;
}

/* ==== the algorithm ================================================================= */

/* A tap is a constant offset if there are enough zeros around the image: one line and
** pixel. */
static df_form form(const df_conv *c) {
  bool even = c->top == 1 && c->left == 1 && c->P == c->H && c->Q == c->W;
  return c->R == 3 && c->S == 3 && c->stride == 1 && even ? DF_PADDED : DF_ROWS;
}

static bool can(const df_conv *c, df_direction d, df_form x) {
  (void)c, (void)d;
  return x == DF_ROWS || x == DF_PADDED;
}

static bool pays(const df_conv *c, df_direction d) {
  (void)c, (void)d;
  return true;
}

const df_algorithm df_conv_taps = {
  "taps", form,           can, pays, { bytes, pack }, { back_bytes, back_pack }, forward,
  data,   df_conv_weight, NULL
};
