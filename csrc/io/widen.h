/* The numbers that files hold, as the numbers that tensors hold. */
#ifndef df_widen_h
#define df_widen_h

#include "tensor/dtype.h"

typedef struct df_kind {
  const char *name; /* "f32", "i16", "bool", ... */
  int bytes;        /* of one in a file */
  df_dtype dtype;   /* of the tensor */
  /* y: n of that type, from x: n as the file has them, at any address; NULL: as they are */
  void (*widen)(void *y, const void *x, df_int n);
} df_kind;

const df_kind *df_kind_find(const char *name); /* NULL: no such kind */

/* y: n elements of kind->dtype from the file's bytes. */
void df_kind_read(const df_kind *kind, void *y, const void *x, df_int n);

#endif
