/* JPEG by TurboJPEG, in only. Where it wasn't there at build time, a sentence. */
#ifndef df_jpeg_h
#define df_jpeg_h

#include "io/picture.h"

int df_jpeg_measure(df_picture *p, const void *file, size_t bytes);
int df_jpeg_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

#endif
