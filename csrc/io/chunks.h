/* The chunks of a PNG file: length, type, data, checksum. We write text and animation
** chunks ourselves, and libpng writes pixels. */
#ifndef df_chunks_h
#define df_chunks_h

#include "base/base.h"

#define DF_CHUNK_EXTRA 12 /* bytes of a chunk without its data */

typedef struct df_chunk {
  char type[5]; /* "tEXt" */
  const uint8_t *data;
  size_t bytes; /* length of data */
} df_chunk;

/* The chunk at *at (0: the first); *at moves behind it. DF_WORLD if there is none, or if
** it is cut short or has a wrong checksum. */
int df_chunk_next(df_chunk *c, size_t *at, const void *file, size_t bytes);

/* Writes a chunk to out: DF_CHUNK_EXTRA + bytes. */
void df_chunk_write(void *out, const char *type, const void *data, size_t bytes);

#endif
