/* PLANES, flat and padded: pixels C apart, lines W + 1 pixels, images H + 1 lines, with
** W + 2 zero pixels before the first. The zero pixel behind a line serves that line's
** right and the next one's left, the zero line behind an image its bottom and the next
** one's top, so padding costs (H + 1)(W + 1) / HW and every neighbour is one addition. */
#include "engine/operand.h"

#include <string.h>

static df_int lead(df_int W) { return W + 2; } /* pixels before, and behind the last */

df_image df_image_rows(const df_real *x, df_int B, df_int H, df_int W, df_int C) {
  return (df_image){ x, B, H, W, C, W * C, H * W * C, false };
}

df_image df_image_planes(const df_real *planes, df_int B, df_int H, df_int W, df_int C) {
  df_int line = (W + 1) * C;
  return (df_image){ planes + lead(W) * C, B, H, W, C, line, (H + 1) * line, true };
}

df_int df_operand_size(df_int B, df_int H, df_int W, df_int C) {
  return (B * (H + 1) * (W + 1) + 2 * lead(W)) * C;
}

df_real *df_operand_line(df_real *planes, df_int H, df_int W, df_int C, df_int n,
                         df_int h) {
  return planes + (lead(W) + (n * (H + 1) + h) * (W + 1)) * C;
}

static void zero(df_real *y, df_int n) { memset(y, 0, (size_t)n * sizeof *y); }

void df_operand_clear(df_real *planes, df_int B, df_int H, df_int W, df_int C) {
  zero(planes, lead(W) * C);
  for (df_int n = 0; n < B; n++) {
    for (df_int h = 0; h < H; h++)
      zero(df_operand_line(planes, H, W, C, n, h) + W * C, C);
    zero(df_operand_line(planes, H, W, C, n, H), (W + 1) * C);
  }
  zero(df_operand_line(planes, H, W, C, B, 0), lead(W) * C);
}
