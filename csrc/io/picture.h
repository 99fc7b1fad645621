/* Pictures in files: first their size, then their pixels. Pixels are bytes in 0..255, H x
** W x C. C is 1 grey, 2 grey and alpha, 3 RGB or 4 RGB and alpha. */
#ifndef df_picture_h
#define df_picture_h

#include "base/base.h"

typedef struct df_picture {
  df_int height, width; /* as stored */
  int channels;
  const char *format; /* "png" or "jpeg" */
  int orientation;    /* EXIF's, 1..8 */
  bool inks;          /* stored as CMYK; channels are those of the RGB that is read */
} df_picture;

/* Finds the format by the first bytes, reads the header, and checks that a file of this
** size can hold so many pixels. Otherwise DF_WORLD with an error. */
int df_picture_measure(df_picture *p, const void *file, size_t bytes);

/* The height and width that df_picture_read gives, turned upright as EXIF says. */
df_int df_picture_height(const df_picture *p);
df_int df_picture_width(const df_picture *p);

/* pixels: height x width x channels, upright. */
int df_picture_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes);

#endif
