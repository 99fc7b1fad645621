/* IDX, the file format of MNIST: 00 00 type dims, then big-endian sizes, then the
** elements. Only unsigned bytes (type 08) are read. The file may be gzipped. */
#ifndef df_idx_h
#define df_idx_h

#include "base/base.h"

#define DF_IDX_DIMS 4

typedef struct df_idx {
  int ndim;
  df_int size[DF_IDX_DIMS];
  size_t header, count; /* bytes before the elements; number of elements */
} df_idx;

/* Reads the header, and checks that the file is large enough for the elements it
** declares. Otherwise DF_WORLD with an error. */
int df_idx_measure(df_idx *x, const void *file, size_t bytes);

/* y: x->count bytes. */
int df_idx_read(uint8_t *y, const df_idx *x, const void *file, size_t bytes);

#endif
