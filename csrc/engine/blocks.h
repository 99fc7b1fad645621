/* The outputs of a convolution are cut into blocks of lines or of images. */
#ifndef df_blocks_h
#define df_blocks_h

#include "base/base.h"

/* The cut of B images of P lines of Q pixels into blocks of about 256 pixels: lines of
** one image, or whole images. It depends on the shape alone. */
typedef struct df_blocks {
  df_int B, P;
  df_int images, lines; /* size of a block; lines < P only if images is 1 */
  df_int count;
} df_blocks;

typedef struct df_block {
  df_int n, images, p, lines; /* first image, how many; first line, how many */
} df_block;

df_blocks df_blocks_of(df_int B, df_int P, df_int Q);
df_block df_block_at(const df_blocks *b, df_int index);

#endif
