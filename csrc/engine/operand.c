/* PLANES, flat and padded: pixels C apart, lines W + 1 pixels, images H + 1 lines, with
** W + 2 zero pixels before the first. The zero pixel behind a line serves that line's
** right and the next one's left, the zero line behind an image its bottom and the next
** one's top, so padding costs (H + 1)(W + 1) / HW and every neighbour is one addition. */
#include "engine/operand.h"

#include <string.h>

static df_int lead(df_int W) { return W + 2; } /* pixels before, and behind the last */

df_image df_image_of(df_form form, const df_real *x, df_int B, df_int H, df_int W,
                     df_int C) {
  if (form == DF_ROWS) return (df_image){ x, form, B, H, W, C, W * C, H * W * C };
  df_int line = (W + 1) * C;
  return (df_image){ x + lead(W) * C, form, B, H, W, C, line, (H + 1) * line };
}

df_int df_operand_size(const df_operand *o) {
  return (o->B * (o->H + 1) * (o->W + 1) + 2 * lead(o->W)) * o->C;
}

/* Where line h of image n is: W pixels of C channels, adjacent. */
static df_real *line_of(const df_operand *o, df_int n, df_int h) {
  return o->at + (lead(o->W) + (n * (o->H + 1) + h) * (o->W + 1)) * o->C;
}

static void zero(df_real *y, df_int n) { memset(y, 0, (size_t)n * sizeof *y); }

void df_operand_clear(const df_operand *o) {
  df_int H = o->H, W = o->W, C = o->C;
  zero(o->at, lead(W) * C);
  for (df_int n = 0; n < o->B; n++) {
    for (df_int h = 0; h < H; h++) zero(line_of(o, n, h) + W * C, C);
    zero(line_of(o, n, H), (W + 1) * C);
  }
  zero(line_of(o, o->B, 0), lead(W) * C);
}

/* All channels of some pixels of a line are one run; else each pixel's are. */
static void put_line(const df_operand *o, df_real *to, df_int pixels, df_int channels,
                     const df_real *x) {
  df_int runs = channels == o->C ? 1 : pixels, size = pixels * channels / runs;
  for (df_int i = 0; i < runs; i++)
    memcpy(to + i * o->C, x + i * size, (size_t)size * sizeof *x);
}

void df_operand_put(const df_operand *o, df_int n, df_int pixel, df_int pixels, df_int c,
                    df_int channels, const df_real *x) {
  for (df_int done = 0, count; done < pixels; done += count) {
    df_int h = (pixel + done) / o->W, w = (pixel + done) % o->W;
    count = df_min(o->W - w, pixels - done);
    put_line(o, line_of(o, n, h) + w * o->C + c, count, channels, x + done * channels);
  }
}
