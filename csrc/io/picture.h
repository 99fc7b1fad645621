/* Pictures in files: what they measure, then their pixels. Bytes in 0..255, H x W x C,
** C being 1 grey, 2 grey and alpha, 3 RGB or 4 RGB and alpha. */
#ifndef df_picture_h
#define df_picture_h

#include "base/base.h"

typedef struct df_picture {
  df_int height, width; /* as stored */
  int channels;
  const char *format; /* "png" or "jpeg" */
  int orientation;    /* EXIF's, 1..8 */
  bool inks;          /* stored as CMYK; channels are those of its RGB */
} df_picture;

/* Finds the format by the first bytes, reads the header and checks that so many pixels
** can be in a file of this size. DF_WORLD with a sentence otherwise. */
int df_picture_measure(df_picture *p, const void *file, size_t bytes);

/* The height and width of what df_picture_read gives: upright, as the orientation says. */
df_int df_picture_height(const df_picture *p);
df_int df_picture_width(const df_picture *p);

/* pixels: height x width x channels, upright. */
int df_picture_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

#endif
