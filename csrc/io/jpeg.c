/* JPEG through TurboJPEG's memory interface. Without it at build time, the same functions
** fail with an error. */
#include "io/jpeg.h"

#include "base/error.h"

#ifdef DF_HAVE_TURBOJPEG

#include <string.h>
#include <turbojpeg.h>

#include "base/alloc.h"
#include "io/bound.h"
#include "io/exif.h"
#include "io/segments.h"

/* A block of 8 x 8 takes at least one bit, and a colour may be subsampled 4 by 4. */
#define DENSITY 8192.0

/* A progressive file may repeat all pixels for a few bytes: at most 500 times. */
#ifdef TJFLAG_LIMITSCANS
#define FLAGS (TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
#else /* before libjpeg-turbo 2.1 */
#define FLAGS TJFLAG_ACCURATEDCT
#endif

/* ==== facts in the file itself ===================================================== */

/* Reads the first EXIF block. Thumbnails and other notes have segments of their own. */
static int orientation_of(const void *file, size_t bytes) {
  df_segment s;
  for (size_t at = 0; df_segment_next(&s, &at, file, bytes);) {
    if (s.marker == DF_SCAN || s.marker == DF_IMAGE_END) break;
    if (s.marker == DF_APP1 && s.bytes >= 6 && memcmp(s.data, "Exif\0\0", 6) == 0)
      return df_exif_orientation(s.data + 6, s.bytes - 6);
  }
  return 1;
}

/* Does the file end before its last segment does? Among pixels ff d9 only means the end.
** Other bytes in a marker's place are damage. */
static bool is_cut(const uint8_t *file, size_t bytes) {
  df_segment s = { 0 };
  size_t at = 0;
  while (s.marker != DF_SCAN) {
    if (!df_segment_next(&s, &at, file, bytes)) return at >= bytes || file[at] == 0xff;
    if (s.marker == DF_IMAGE_END) return false;
  }
  for (; at + 1 < bytes; at++)
    if (file[at] == 0xff && file[at + 1] == DF_IMAGE_END) return false;
  return true;
}

/* ==== TurboJPEG ===================================================================== */

static int fail(tjhandle jpeg, const void *file, size_t bytes) {
  const char *why = tjGetErrorStr2(jpeg);
  if (strstr(why, "nsufficient memory") || strstr(why, "allocation failure"))
    return df_fail(DF_MEMORY, "not enough memory to read a JPEG");
  if (is_cut(file, bytes))
    return df_fail(DF_WORLD, "jpeg: cut short at %zu bytes (%s)", bytes, why);
  return df_fail(DF_WORLD, "jpeg: %s", why);
}

static int no_decoder(void) {
  return df_fail(DF_MEMORY, "not enough memory for a JPEG decoder");
}

int df_jpeg_measure(df_picture *p, const void *file, size_t bytes) {
  int width = 0, height = 0, sampling = 0, space = 0, code = DF_OK;
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return no_decoder();
  if (tjDecompressHeader3(jpeg, file, bytes, &width, &height, &sampling, &space) != 0)
    code = fail(jpeg, file, bytes);
  tjDestroy(jpeg);
  if (code != DF_OK) return code;
  if (width < 1 || height < 1) /* TurboJPEG reports a header without a frame so */
    return df_fail(DF_WORLD, "jpeg: %s at %zu bytes, before it says how large it is",
                   is_cut(file, bytes) ? "cut short" : "ends", bytes);
  *p = (df_picture){ .height = height,
                     .width = width,
                     .channels = space == TJCS_GRAY ? 1 : 3,
                     .format = "jpeg",
                     .orientation = orientation_of(file, bytes),
                     .inks = space == TJCS_CMYK || space == TJCS_YCCK };
  return df_picture_bound(p, DENSITY, bytes);
}

static int decode(uint8_t *pixels, int format, const df_picture *p, const void *file,
                  size_t bytes) {
  int code = DF_OK;
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return no_decoder();
  if (tjDecompress2(jpeg, file, bytes, pixels, (int)p->width, 0, (int)p->height, format,
                    FLAGS)
      != 0)
    code = fail(jpeg, file, bytes);
  tjDestroy(jpeg);
  return code;
}

/* rgb: n pixels from n CMYK pixels, stored as Adobe does: 255 is no ink. A colour is the
** paper seen through one ink, dimmed by black. */
static void rgb_of_inks(uint8_t *rgb, const uint8_t *cmyk, df_int n) {
  for (df_int i = 0; i < n; i++, rgb += 3, cmyk += 4)
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)((cmyk[c] * cmyk[3] + 127) / 255);
}

static int read_inks(uint8_t *pixels, const df_picture *p, const void *file,
                     size_t bytes) {
  df_int n = p->height * p->width;
  uint8_t *cmyk = df_alloc(4 * (size_t)n);
  if (!cmyk) return DF_MEMORY;
  int code = decode(cmyk, TJPF_CMYK, p, file, bytes);
  if (code == DF_OK) rgb_of_inks(pixels, cmyk, n);
  df_free(cmyk);
  return code;
}

int df_jpeg_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes) {
  if (p->inks) return read_inks(pixels, p, file, bytes);
  return decode(pixels, p->channels == 1 ? TJPF_GRAY : TJPF_RGB, p, file, bytes);
}

#else

static int missing(void) {
  return df_fail(DF_WORLD,
                 "jpeg: not built in; install libturbojpeg0-dev (TurboJPEG) and "
                 "build again");
}

int df_jpeg_measure(df_picture *p, const void *file, size_t bytes) {
  (void)p, (void)file, (void)bytes;
  return missing();
}

int df_jpeg_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes) {
  (void)pixels, (void)p, (void)file, (void)bytes;
  return missing();
}

#endif
