/* IDX, the files of MNIST and its kin: 00 00 type dims, then big-endian sizes, then the
** elements. Unsigned bytes (type 08) are read; gzipped files as they are. */
#ifndef df_idx_h
#define df_idx_h

#include "base/base.h"

#define DF_IDX_DIMS 4

typedef struct df_idx {
  int ndim;
  df_int size[DF_IDX_DIMS];
  size_t header, count; /* bytes before the elements, and of them */
} df_idx;

/* Reads and checks the header against the file's size: what it declares can be in the
** file. DF_WORLD with a sentence otherwise. */
int df_idx_measure(df_idx *x, const void *file, size_t bytes);

/* y: x->count bytes. */
int df_idx_read(uint8_t *y, const df_idx *x, const void *file, size_t bytes);

#endif
