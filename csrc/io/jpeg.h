/* Reads JPEG with TurboJPEG. If it was missing at build time, these fail with an error
** that says so. */
#ifndef df_jpeg_h
#define df_jpeg_h

#include "io/picture.h"

int df_jpeg_measure(df_picture *p, const void *file, size_t bytes);
int df_jpeg_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

#endif
