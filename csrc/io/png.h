/* PNG with libpng. Every kind of file is read, with 8 bits a channel. Grey and RGB are
** written, with or without alpha. A palette is read as RGB, and tRNS as alpha. */
#ifndef df_png_h
#define df_png_h

#include "io/picture.h"

int df_png_measure(df_picture *p, const void *file, size_t bytes);
int df_png_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

size_t df_png_most(const df_picture *p); /* bytes that suffice for df_png_write */

/* Compresses into `file`, which holds df_png_most(p) bytes; *bytes is the size. */
int df_png_write(void *file, size_t *bytes, const df_picture *p, const uint8_t *pixels);

#endif
