/* PNG by libpng: every kind of file in, as 8 bits a channel; grey, RGB, with or without
** alpha, out. A palette is RGB, and tRNS is alpha. */
#ifndef df_png_h
#define df_png_h

#include "io/picture.h"

int df_png_measure(df_picture *p, const void *file, size_t bytes);
int df_png_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

size_t df_png_most(const df_picture *p); /* bytes that suffice for df_png_write */

/* Compresses to `file`, which holds df_png_most(p); how many bytes is in *bytes. */
int df_png_write(void *file, size_t *bytes, const df_picture *p, const uint8_t *pixels);

#endif
