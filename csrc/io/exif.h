/* How a camera was held, from EXIF. */
#ifndef df_exif_h
#define df_exif_h

#include "base/base.h"

/* The orientation in a block of EXIF (a TIFF file): 1 as stored, 2..8 as in
** df_pixels_turn. It is 1 if there is none or the block is damaged, because a damaged
** note shouldn't lose the picture. */
int df_exif_orientation(const void *exif, size_t bytes);

#endif
