/* The bound on declared pixels. It is checked before any memory is allocated for them. */
#ifndef df_bound_h
#define df_bound_h

#include "io/picture.h"

#define DF_PIXELS_MOST ((df_int)1 << 28) /* 16384 x 16384 */

/* Fails with DF_WORLD if the picture has more pixels than DF_PIXELS_MOST, or than a file
** of `bytes` bytes can hold at `most` pixels a byte. */
int df_picture_bound(const df_picture *p, double most, size_t bytes);

#endif
