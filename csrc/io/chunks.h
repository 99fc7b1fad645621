/* The chunks of a PNG file: length, type, data, checksum. Text and animation are ours;
** pixels are libpng's. */
#ifndef df_chunks_h
#define df_chunks_h

#include "base/base.h"

#define DF_CHUNK_EXTRA 12 /* bytes of a chunk beside its data */

typedef struct df_chunk {
  char type[5]; /* "tEXt" */
  const uint8_t *data;
  size_t bytes; /* of data */
} df_chunk;

/* The chunk at *at (0: the first), which is moved behind it. DF_WORLD where there is none,
** or it isn't whole: cut short, or with a wrong checksum. */
int df_chunk_next(df_chunk *c, size_t *at, const void *file, size_t bytes);

/* Writes a chunk to out: DF_CHUNK_EXTRA + bytes. */
void df_chunk_write(void *out, const char *type, const void *data, size_t bytes);

#endif
