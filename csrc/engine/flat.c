/* Blocks of lines become flat rows of bf16. */
#include "engine/flat.h"

#include <string.h>

#include "kernels/kernels.h"

int df_flat_planes(df_precision precision) {
  if (sizeof(df_real) != sizeof(float)) return 0;
  return precision == DF_MEDIUM ? 1 : precision == DF_HIGH ? 2 : 0;
}

bool df_flat_is_rows(const df_conv *c, df_form x) {
  return c->R == 1 && c->S == 1 && c->stride == 1 && c->top == 0 && c->left == 0
         && c->P == c->H && c->Q == c->W && x == DF_ROWS;
}

df_flat df_flat_of(const df_conv *c, const df_image *x) {
  return (df_flat){ .x = *x,
                    .R = c->R,
                    .S = c->S,
                    .stride = c->stride,
                    .top = c->top,
                    .left = c->left,
                    .P = c->P,
                    .Q = c->Q,
                    .planes = df_flat_planes(c->precision) };
}

static bool within(df_int first, df_int last, df_int size) {
  return first >= -1 && last <= size;
}

bool df_flat_direct(const df_flat *f) {
  return f->x.form == (f->planes == 2 ? DF_HALVES : DF_HALF) && f->stride == 1
         && within(-f->top, f->P + f->R - 2 - f->top, f->x.H)
         && within(-f->left, f->Q + f->S - 2 - f->left, f->x.W);
}

/* Adjacent lines share zeros: those behind one are those before the next. They share no
** more than the taps after the first, so that each output has a row of its own. */
static df_int shared(df_int before, df_int behind, df_int taps) {
  return df_max(0, df_min(taps - 1, df_min(before, behind)));
}

/* The number of lines of a padded block of an image. */
static df_int span(const df_flat *f, df_int lines) {
  return lines + df_ceil_div(f->R, f->stride) - 1;
}

static void open_copy(df_flat *f) {
  f->wide = f->Q + df_ceil_div(f->S, f->stride) - 1;
  f->line = f->wide;
  df_int lines = span(f, f->blocks.lines);
  df_int tall = lines;
  if (f->stride == 1) f->line -= shared(f->left, f->wide - f->left - f->x.W, f->S);
  if (f->stride == 1 && f->blocks.lines == f->P)
    tall -= shared(f->top, tall - f->top - f->x.H, f->R);
  f->image = tall * f->line;
  f->phase = (f->blocks.images - 1) * f->image + (lines - 1) * f->line + f->wide;
}

static df_blocks blocks_of(df_int B, df_int P, df_int Q, df_int pixels) {
  df_blocks b = { .B = B, .P = P, .images = 1, .lines = P };
  df_int size = P * Q;
  if (size == 0) return b;
  if (size > pixels) b.lines = df_ceil_div(P, df_ceil_div(P, df_max(1, pixels / Q)));
  else b.images = df_max(1, df_min(pixels / size, B));
  b.count = df_ceil_div(B, b.images) * df_ceil_div(P, b.lines);
  return b;
}

void df_flat_open(df_flat *f, df_int pixels) {
  df_int width = df_half_width(f->x.C);
  f->blocks = blocks_of(f->x.B, f->P, f->Q, pixels);
  f->direct = df_flat_direct(f);
  f->pixel = width * f->planes, f->low = f->planes == 2 ? width : 0;
  if (!f->direct) {
    open_copy(f);
    return;
  }
  f->line = f->x.line / f->x.pixel, f->image = f->x.image / f->x.pixel;
}

df_int df_flat_count(const df_flat *f, const df_block *b) {
  return (b->images - 1) * f->image + (b->lines - 1) * f->line + f->Q;
}

df_int df_flat_most(const df_flat *f) {
  df_block b = { 0, f->blocks.images, 0, f->blocks.lines };
  return df_flat_count(f, &b);
}

void df_flat_place(const df_flat *f, const df_block *b, df_int *place, df_int pixel,
                   df_int line, df_int image) {
  df_int count = df_flat_count(f, b);
  for (df_int i = 0; i < count; i++) place[i] = -1;
  for (df_int n = 0; n < b->images; n++)
    for (df_int p = 0; p < b->lines; p++)
      for (df_int q = 0; q < f->Q; q++)
        place[n * f->image + p * f->line + q] = n * image + p * line + q * pixel;
}

/* The phases that taps read: fewer than the stride if the kernel is smaller. */
static df_int phases(df_int stride, df_int kernel) { return df_min(stride, kernel); }

df_int df_flat_tap(const df_flat *f, df_int r, df_int s) {
  df_int st = f->stride, at = r % st * phases(st, f->S) + s % st;
  return (st > 1 ? at * f->phase : 0) + r / st * f->line + s / st;
}

df_int df_flat_reach(const df_flat *f) {
  df_int most = 0;
  for (df_int r = 0; r < f->R; r++)
    for (df_int s = 0; s < f->S; s++) most = df_max(most, df_flat_tap(f, r, s));
  return most;
}

df_int df_flat_room(const df_flat *f) {
  df_int count = phases(f->stride, f->R) * phases(f->stride, f->S);
  return f->direct ? 0 : (count * f->phase + DF_BEHIND) * f->pixel;
}

static void zero(uint16_t *to, df_int n) { memset(to, 0, (size_t)n * sizeof *to); }

/* Line h of image n of x, which may lie outside. It has the pixels w with w mod stride =
** `side`. */
static void copy_line(const df_flat *f, uint16_t *to, df_int n, df_int h, df_int side) {
  df_int st = f->stride, C = f->x.C;
  df_int skip = df_max(0, df_ceil_div(f->left - side, st));
  df_int from = skip * st + side - f->left;
  df_int count = from < f->x.W ? df_ceil_div(f->x.W - from, st) : 0;
  count = df_min(count, f->wide - skip);
  if (h < 0 || h >= f->x.H || count <= 0) {
    zero(to, f->wide * f->pixel);
    return;
  }
  uint16_t *middle = to + skip * f->pixel;
  zero(to, skip * f->pixel);
  df_kernel()->planes(middle, f->pixel, f->low,
                      df_image_line(&f->x, n, h) + from * f->x.pixel, st * f->x.pixel,
                      count, C, df_half_width(C));
  zero(middle + count * f->pixel, (f->wide - skip - count) * f->pixel);
}

/* Pixels of a phase that a block fills. */
static df_int filled(const df_flat *f, const df_block *b) {
  return (b->images - 1) * f->image + (span(f, b->lines) - 1) * f->line + f->wide;
}

/* The gradient of weights reads all phases as one row of pixels and multiplies what is
** behind a smaller block by 0. It must be finite. */
static void copy_phase(const df_flat *f, const df_block *b, uint16_t *to, df_int down,
                       df_int side) {
  for (df_int i = 0; i < b->images; i++)
    for (df_int j = 0; j < span(f, b->lines); j++)
      copy_line(f, to + (i * f->image + j * f->line) * f->pixel, b->n + i,
                (b->p + j) * f->stride + down - f->top, side);
  zero(to + filled(f, b) * f->pixel, (f->phase - filled(f, b)) * f->pixel);
}

const uint16_t *df_flat_rows(const df_flat *f, const df_block *b, uint16_t *room) {
  if (f->direct) {
    const df_real *at = df_image_line(&f->x, b->n, b->p - f->top);
    return (const void *)(at - f->left * f->x.pixel);
  }
  df_int across = phases(f->stride, f->S), count = phases(f->stride, f->R) * across;
  for (df_int i = 0; i < count; i++)
    copy_phase(f, b, room + i * f->phase * f->pixel, i / across, i % across);
  return room;
}
