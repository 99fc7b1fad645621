/* Chooses the decoder of a picture by its first bytes. */
#include "io/picture.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "io/jpeg.h"
#include "io/pixels.h"
#include "io/png.h"

static bool begins(const void *file, size_t bytes, const char *with, size_t n) {
  return bytes >= n && memcmp(file, with, n) == 0;
}

static const char png[] = "\x89PNG\r\n\x1a\n", jpeg[] = "\xff\xd8\xff";

static bool is_start(const void *file, size_t bytes, const char *of, size_t n) {
  return bytes < n && memcmp(file, of, bytes) == 0;
}

int df_picture_measure(df_picture *p, const void *file, size_t bytes) {
  if (bytes == 0) return df_fail(DF_WORLD, "an empty file");
  if (begins(file, bytes, png, 8)) return df_png_measure(p, file, bytes);
  if (begins(file, bytes, jpeg, 3)) return df_jpeg_measure(p, file, bytes);
  if (is_start(file, bytes, png, 8) || is_start(file, bytes, jpeg, 3))
    return df_fail(DF_WORLD, "cut short at %zu bytes", bytes);
  return df_fail(DF_WORLD, "neither PNG nor JPEG, by its first bytes");
}

static bool lies(const df_picture *p) { return p->orientation >= 5; }

df_int df_picture_height(const df_picture *p) { return lies(p) ? p->width : p->height; }
df_int df_picture_width(const df_picture *p) { return lies(p) ? p->height : p->width; }

static int read_stored(uint8_t *pixels, const df_picture *p, const void *file,
                       size_t bytes) {
  if (strcmp(p->format, "png") == 0) return df_png_read(pixels, p, file, bytes);
  return df_jpeg_read(pixels, p, file, bytes);
}

int df_picture_read(uint8_t *pixels, const df_picture *p, const void *file,
                    size_t bytes) {
  if (p->orientation == 1) return read_stored(pixels, p, file, bytes);
  uint8_t *stored = df_alloc((size_t)(p->height * p->width * p->channels));
  if (!stored) return DF_MEMORY;
  int code = read_stored(stored, p, file, bytes);
  if (code == DF_OK)
    df_pixels_turn(pixels, stored, p->height, p->width, p->channels, p->orientation);
  df_free(stored);
  return code;
}
