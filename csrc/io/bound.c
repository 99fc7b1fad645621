/* The number of pixels that a file of some size can hold. */
#include "io/bound.h"

#include "base/error.h"

int df_picture_bound(const df_picture *p, double most, size_t bytes) {
  if (p->height > 0 && p->width > 0 && p->width <= DF_PIXELS_MOST / p->height
      && (double)p->height * (double)p->width <= most * (double)bytes)
    return DF_OK;
  return df_fail(DF_WORLD,
                 "%s: header says %td x %td pixels, more than a file of %zu bytes "
                 "can hold, or than the %td that are read",
                 p->format, p->width, p->height, bytes, DF_PIXELS_MOST);
}
