/* A JPEG file has segments before its pixels: marker, length, data. */
#ifndef df_segments_h
#define df_segments_h

#include "base/base.h"

enum { DF_APP1 = 0xe1, DF_SCAN = 0xda, DF_IMAGE_END = 0xd9 }; /* markers */

typedef struct df_segment {
  int marker;
  const uint8_t *data;
  size_t bytes;
} df_segment;

/* The segment at *at (0: the first); *at moves behind it. DF_IMAGE_END has no data.
** False, with *at unchanged, if the file ends inside the segment or no marker stands
** there. */
bool df_segment_next(df_segment *s, size_t *at, const void *file, size_t bytes);

#endif
