/* How a camera was held, as EXIF says. */
#ifndef df_exif_h
#define df_exif_h

#include "base/base.h"

/* The orientation in a block of EXIF (a TIFF file): 1 as stored, 2..8 as df_pixels_turn
** has them. 1 where it isn't said, or the block is damaged: a picture isn't lost for a
** note beside it. */
int df_exif_orientation(const void *exif, size_t bytes);

#endif
