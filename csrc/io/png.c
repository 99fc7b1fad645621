/* PNG through libpng's simplified interface, which keeps its jumps to itself. */
#include "io/png.h"

#include <png.h>
#include <string.h>

#include "base/error.h"
#include "io/chunks.h"
#include "io/gzip.h"

enum { HEADER = 33, DEPTH = 24, COLOUR = 25 }; /* signature and IHDR, and bytes in it */

static png_uint_32 format_of(int channels) {
  static const png_uint_32 format[5] = { 0, PNG_FORMAT_GRAY, PNG_FORMAT_GA,
                                         PNG_FORMAT_RGB, PNG_FORMAT_RGBA };
  return format[channels];
}

static int fail(const png_image *image) {
  return df_fail(DF_WORLD, "png: %s", image->message);
}

/* Every chunk is there, whole, up to IEND: libpng stops at the last pixel. */
static int check_chunks(const void *file, size_t bytes) {
  df_chunk c = { 0 };
  size_t at = 0;
  int code;
  while ((code = df_chunk_next(&c, &at, file, bytes)) == DF_OK)
    if (strcmp(c.type, "IEND") == 0) return DF_OK;
  return code;
}

/* The most pixels that one byte of the file can stand for. */
static double density(const uint8_t *file) {
  static const int samples[8] = { 1, 1, 3, 1, 2, 1, 4, 1 }; /* of a colour type */
  return 8.0 * DF_INFLATE_MOST / (file[DEPTH] * samples[file[COLOUR] & 7]);
}

static int begin(png_image *image, const void *file, size_t bytes) {
  memset(image, 0, sizeof *image);
  image->version = PNG_IMAGE_VERSION;
  if (bytes < HEADER) return df_fail(DF_WORLD, "png: cut short at %zu bytes", bytes);
  if (check_chunks(file, bytes) != DF_OK) return DF_WORLD;
  if (!png_image_begin_read_from_memory(image, file, bytes)) return fail(image);
  return DF_OK;
}

int df_png_measure(df_picture *p, const void *file, size_t bytes) {
  png_image image;
  if (begin(&image, file, bytes) != DF_OK) return DF_WORLD;
  *p = (df_picture){ image.height, image.width,
                     (int)PNG_IMAGE_SAMPLE_CHANNELS(image.format), "png" };
  png_image_free(&image);
  return df_picture_bound(p, density(file), bytes);
}

int df_png_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes) {
  png_image image;
  if (begin(&image, file, bytes) != DF_OK) return DF_WORLD;
  image.format = format_of(p->channels);
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* 16 bits are as any, unless gAMA says */
  if (!png_image_finish_read(&image, NULL, pixels, 0, NULL)) return fail(&image);
  return image.warning_or_error & PNG_IMAGE_ERROR ? fail(&image) : DF_OK;
}

static png_image head(const df_picture *p) {
  return (png_image){ .version = PNG_IMAGE_VERSION,
                      .width = (png_uint_32)p->width,
                      .height = (png_uint_32)p->height,
                      .format = format_of(p->channels) };
}

size_t df_png_most(const df_picture *p) {
  png_image image = head(p);
  return PNG_IMAGE_PNG_SIZE_MAX(image);
}

int df_png_write(void *file, size_t *bytes, const df_picture *p, const uint8_t *pixels) {
  png_image image = head(p);
  png_alloc_size_t size = df_png_most(p);
  if (!png_image_write_to_memory(&image, file, &size, 0, pixels, 0, NULL))
    return fail(&image);
  *bytes = size;
  return DF_OK;
}
