/* Which decoder a picture wants, by its first bytes; and how many pixels a file of its
** size can hold. */
#include "io/picture.h"

#include <string.h>

#include "base/error.h"
#include "io/jpeg.h"
#include "io/png.h"

static bool begins(const void *file, size_t bytes, const char *with, size_t n) {
  return bytes >= n && memcmp(file, with, n) == 0;
}

int df_picture_bound(const df_picture *p, double most, size_t bytes) {
  if (p->height > 0 && p->width > 0 && p->width <= DF_PIXELS_MOST / p->height
      && (double)p->height * (double)p->width <= most * (double)bytes)
    return DF_OK;
  return df_fail(DF_WORLD,
                 "%s: header says %td x %td pixels, more than a file of %zu bytes "
                 "can hold, or than the %td that are read",
                 p->format, p->width, p->height, bytes, DF_PIXELS_MOST);
}

int df_picture_measure(df_picture *p, const void *file, size_t bytes) {
  if (begins(file, bytes, "\x89PNG\r\n\x1a\n", 8)) return df_png_measure(p, file, bytes);
  if (begins(file, bytes, "\xff\xd8\xff", 3)) return df_jpeg_measure(p, file, bytes);
  return df_fail(DF_WORLD, "neither PNG nor JPEG, by its first bytes");
}

int df_picture_read(uint8_t *pixels, const df_picture *p, const void *file,
                    size_t bytes) {
  if (strcmp(p->format, "png") == 0) return df_png_read(pixels, p, file, bytes);
  return df_jpeg_read(pixels, p, file, bytes);
}
