/* PNG through libpng's row interface, which reports failure by a jump. Only `guarded`
** calls setjmp. Values that must outlive a jump are fields of `work`, never locals. */
#include "io/png.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "io/bound.h"
#include "io/chunks.h"
#include "io/exif.h"
#include "io/gzip.h"

/* size of signature and IHDR; places of bytes in them */
enum { HEADER = 33, DEPTH = 24, COLOUR = 25 };

typedef struct work {
  jmp_buf home;
  png_structp png;
  png_infop info;
  const uint8_t *file; /* bytes that are left of it */
  size_t left;
  df_picture picture;
  uint8_t *pixels;
  bool done, starved; /* starved: an allocation failed */
  char message[128];
} work;

static _Noreturn void give_up(work *w, const char *message) {
  snprintf(w->message, sizeof w->message, "%s", message);
  longjmp(w->home, 1);
}

/* ==== called by libpng ============================================================= */

static _Noreturn void failed(png_structp png, png_const_charp message) {
  give_up(png_get_error_ptr(png), message);
}

static void warned(png_structp png, png_const_charp message) { (void)png, (void)message; }

static png_voidp take(png_structp png, png_alloc_size_t bytes) {
  work *w = png_get_mem_ptr(png);
  void *block = df_alloc(bytes);
  if (!block) w->starved = true;
  return block;
}

static void give_back(png_structp png, png_voidp block) {
  (void)png;
  df_free(block);
}

static void supply(png_structp png, png_bytep to, size_t bytes) {
  work *w = png_get_io_ptr(png);
  if (bytes > w->left) give_up(w, "cut short");
  memcpy(to, w->file, bytes);
  w->file += bytes;
  w->left -= bytes;
}

/* ==== in ============================================================================ */

/* Runs a body that libpng may leave by a jump, then frees libpng's memory. */
static int guarded(work *w, void (*body)(work *)) {
  if (setjmp(w->home) == 0) {
    body(w);
    w->done = true;
  }
  png_destroy_read_struct(&w->png, &w->info, NULL);
  if (w->done) return DF_OK;
  if (w->starved) return df_fail(DF_MEMORY, "not enough memory to read a PNG");
  return df_fail(DF_WORLD, "png: %s", w->message);
}

/* Reads up to the first pixels. Only PLTE and tRNS are looked at: values stay as stored,
** whatever gAMA, iCCP or sBIT say. */
static void read_head(work *w) {
  w->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, w, failed, warned, w, take,
                                    give_back);
  if (!w->png) give_up(w, "libpng is another one than this was built for");
  w->info = png_create_info_struct(w->png);
  if (!w->info) give_up(w, "no room for a header");
  png_set_read_fn(w->png, w, supply);
  /* we have our own limits */
  png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_keep_unknown_chunks(w->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(w->png, w->info);
}

static int channels_of(const work *w) {
  int colour = png_get_color_type(w->png, w->info);
  bool clear =
      colour & PNG_COLOR_MASK_ALPHA || png_get_valid(w->png, w->info, PNG_INFO_tRNS);
  return (colour & PNG_COLOR_MASK_COLOR ? 3 : 1) + clear;
}

static void measure(work *w) {
  read_head(w);
  w->picture = (df_picture){ .height = png_get_image_height(w->png, w->info),
                             .width = png_get_image_width(w->png, w->info),
                             .channels = channels_of(w),
                             .format = "png",
                             .orientation = 1 };
}

/* 16 bits are rounded to 8, v 255/65535. tRNS is compared before that. */
static void read_pixels(work *w) {
  read_head(w);
  png_set_expand(w->png);
  png_set_scale_16(w->png);
  int passes = png_set_interlace_handling(w->png);
  png_read_update_info(w->png, w->info);
  const df_picture *p = &w->picture;
  size_t row = png_get_rowbytes(w->png, w->info);
  if (png_get_image_height(w->png, w->info) != (png_uint_32)p->height
      || row != (size_t)p->width * (size_t)p->channels)
    give_up(w, "the file has changed while it was read");
  for (int pass = 0; pass < passes; pass++)
    for (df_int i = 0; i < p->height; i++)
      png_read_row(w->png, w->pixels + (size_t)i * row, NULL);
}

/* Checks that every chunk up to IEND is there and whole; libpng stops at the last pixel.
** Finds the orientation on its way. */
static int check_chunks(int *orientation, const void *file, size_t bytes) {
  df_chunk c = { 0 };
  size_t at = 0;
  int code;
  while ((code = df_chunk_next(&c, &at, file, bytes)) == DF_OK) {
    if (strcmp(c.type, "IEND") == 0) return DF_OK;
    if (strcmp(c.type, "eXIf") == 0) *orientation = df_exif_orientation(c.data, c.bytes);
  }
  return code;
}

/* The most pixels that one byte of the file can hold. */
static double density(const uint8_t *file) {
  static const int samples[8] = { 1, 1, 3, 1, 2, 1, 4, 1 }; /* by colour type */
  return 8.0 * DF_INFLATE_MOST / (file[DEPTH] * samples[file[COLOUR] & 7]);
}

int df_png_measure(df_picture *p, const void *file, size_t bytes) {
  work w = { .file = file, .left = bytes };
  int orientation = 1;
  if (bytes < HEADER) return df_fail(DF_WORLD, "png: cut short at %zu bytes", bytes);
  if (check_chunks(&orientation, file, bytes) != DF_OK) return DF_WORLD;
  int code = guarded(&w, measure);
  if (code != DF_OK) return code;
  *p = w.picture;
  p->orientation = orientation;
  return df_picture_bound(p, density(file), bytes);
}

int df_png_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes) {
  work w = { .file = file, .left = bytes, .picture = *p, .pixels = pixels };
  return guarded(&w, read_pixels);
}

/* ==== out: the simplified interface, which keeps its jumps to itself ================ */

static png_image head(const df_picture *p) {
  static const png_uint_32 format[5] = { 0, PNG_FORMAT_GRAY, PNG_FORMAT_GA,
                                         PNG_FORMAT_RGB, PNG_FORMAT_RGBA };
  return (png_image){ .version = PNG_IMAGE_VERSION,
                      .width = (png_uint_32)p->width,
                      .height = (png_uint_32)p->height,
                      .format = format[p->channels] };
}

size_t df_png_most(const df_picture *p) {
  png_image image = head(p);
  return PNG_IMAGE_PNG_SIZE_MAX(image);
}

int df_png_write(void *file, size_t *bytes, const df_picture *p, const uint8_t *pixels) {
  png_image image = head(p);
  png_alloc_size_t size = df_png_most(p);
  if (png_image_write_to_memory(&image, file, &size, 0, pixels, 0, NULL)) {
    *bytes = size;
    return DF_OK;
  }
  if (strstr(image.message, "ut of memory")
      || strstr(image.message, "insufficient memory")) /* libpng's words, and zlib's */
    return df_fail(DF_MEMORY, "not enough memory to write a PNG");
  return df_fail(DF_WORLD, "png: %s", image.message);
}
