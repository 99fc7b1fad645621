/* JPEG through TurboJPEG's memory interface; without it at build time, the same functions
** answer with a sentence. */
#include "io/jpeg.h"

#include "base/error.h"

#ifdef DF_HAVE_TURBOJPEG

#include <turbojpeg.h>

/* A block of 8 x 8 takes a bit at least, and a colour may be subsampled 4 by 4. */
#define DENSITY 8192.0

static int finish(tjhandle jpeg, int status) {
  int code = DF_OK;
  if (status != 0) code = df_fail(DF_WORLD, "jpeg: %s", tjGetErrorStr2(jpeg));
  tjDestroy(jpeg);
  return code;
}

int df_jpeg_measure(df_picture *p, const void *file, size_t bytes) {
  int width = 0, height = 0, sampling = 0, space = 0;
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return df_fail(DF_MEMORY, "not enough memory for a JPEG decoder");
  int status = tjDecompressHeader3(jpeg, file, bytes, &width, &height, &sampling, &space);
  if (finish(jpeg, status) != DF_OK) return DF_WORLD;
  if (space == TJCS_CMYK || space == TJCS_YCCK)
    return df_fail(DF_WORLD, "jpeg: inks (CMYK) are not read");
  *p = (df_picture){ height, width, space == TJCS_GRAY ? 1 : 3, "jpeg" };
  return df_picture_bound(p, DENSITY, bytes);
}

int df_jpeg_read(uint8_t *pixels, const df_picture *p, const void *file, size_t bytes) {
  tjhandle jpeg = tjInitDecompress();
  if (!jpeg) return df_fail(DF_MEMORY, "not enough memory for a JPEG decoder");
  int format = p->channels == 1 ? TJPF_GRAY : TJPF_RGB;
  return finish(jpeg, tjDecompress2(jpeg, file, bytes, pixels, (int)p->width, 0,
                                    (int)p->height, format, TJFLAG_ACCURATEDCT));
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
