/* Operands are flat and padded. Lines are W + 1 pixels apart, images H + 1 lines, and W +
** 2 zero pixels come before the first. The zero pixel behind a line is also the one left
** of the next line. The zero line below an image is also the one above the next image. So
** padding costs (H + 1)(W + 1) / HW, and every neighbour is one addition away. A pixel of
** PADDED is C reals. A pixel of HALF is bf16 in a multiple of 32, and of HALVES twice
** that. */
#include "engine/operand.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/kernels.h"

static df_int lead(df_int W) { return W + 2; } /* pixels before, and behind the last */

/* Reals of a pixel. */
static df_int depth(df_form form, df_int C) {
  df_int halves = (df_int)(sizeof(df_real) / sizeof(uint16_t));
  if (form == DF_HALF) return df_half_width(C) / halves;
  if (form == DF_HALVES) return 2 * df_half_width(C) / halves;
  return C;
}

df_image df_image_of(df_form form, const df_real *x, df_int B, df_int H, df_int W,
                     df_int C) {
  if (form == DF_ROWS) return (df_image){ x, form, B, H, W, C, C, W * C, H * W * C };
  df_int pixel = depth(form, C), line = (W + 1) * pixel;
  const df_real *first = x + lead(W) * pixel;
  return (df_image){ first, form, B, H, W, C, pixel, line, (H + 1) * line };
}

df_int df_operand_size(const df_operand *o) {
  df_int pixels = o->B * (o->H + 1) * (o->W + 1) + 2 * lead(o->W);
  if (o->form != DF_PADDED) pixels += DF_BEHIND;
  return pixels * depth(o->form, o->C);
}

/* The start of line h of image n. */
static df_real *line_of(const df_operand *o, df_int n, df_int h) {
  df_int pixel = lead(o->W) + (n * (o->H + 1) + h) * (o->W + 1);
  return o->at + pixel * depth(o->form, o->C);
}

static void zero(df_real *y, df_int n) { memset(y, 0, (size_t)n * sizeof *y); }

/* Zeroes pixels behind the lines of images, and below them. */
static void clear_images(void *context, df_int begin, df_int end) {
  const df_operand *o = context;
  df_int pixel = depth(o->form, o->C);
  for (df_int n = begin; n < end; n++) {
    for (df_int h = 0; h < o->H; h++) zero(line_of(o, n, h) + o->W * pixel, pixel);
    zero(line_of(o, n, o->H), (o->W + 1) * pixel);
  }
}

#define CLEARED (16 * 1024) /* reals that are worth another thread */

void df_operand_clear(const df_operand *o) {
  df_operand own = *o;
  df_int around = lead(o->W) * depth(o->form, o->C);
  df_int image = (o->H + o->W + 1) * depth(o->form, o->C);
  zero(o->at, around);
  df_parallel(o->B, df_max(CLEARED / image, 1), clear_images, &own);
  zero(line_of(o, o->B, 0), around);
}

/* Channels [c, c + channels) of some pixels of a line, which begin at `to`. They are one
** run of reals if all channels are written, else one run for each pixel. */
static void put_reals(const df_operand *o, df_real *to, df_int pixels, df_int c,
                      df_int channels, const df_real *x) {
  df_int runs = channels == o->C ? 1 : pixels, size = pixels * channels / runs;
  for (df_int i = 0; i < runs; i++)
    memcpy(to + i * o->C + c, x + i * size, (size_t)size * sizeof *x);
}

static void put_halves(const df_operand *o, df_real *to, df_int pixels, df_int c,
                       df_int channels, const df_real *x) {
  df_int plane = df_half_width(o->C), low = o->form == DF_HALVES ? plane : 0;
  df_int wide = c + channels == o->C ? plane - c : channels;
  uint16_t *half = (void *)to;
  df_kernel()->planes(half + c, plane + low, low, x, channels, pixels, channels, wide);
}

void df_operand_put(const df_operand *o, df_int n, df_int pixel, df_int pixels, df_int c,
                    df_int channels, const df_real *x) {
  df_int pitch = depth(o->form, o->C);
  for (df_int done = 0, count; done < pixels; done += count) {
    df_int h = (pixel + done) / o->W, w = (pixel + done) % o->W;
    df_real *to = line_of(o, n, h) + w * pitch;
    count = df_min(o->W - w, pixels - done);
    (o->form == DF_PADDED ? put_reals : put_halves)(o, to, count, c, channels,
                                                    x + done * channels);
  }
}
