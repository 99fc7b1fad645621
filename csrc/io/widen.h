/* Numbers of files read as numbers of tensors: the same type, or one that holds all of
** its numbers. */
#ifndef df_widen_h
#define df_widen_h

#include "tensor/dtype.h"

typedef struct df_number {
  const char *name; /* "f32", "i16", "bool", "f8_e4m3", ... */
  int bytes;        /* size of one in a file */
  df_dtype dtype;   /* type of the tensor */
  /* y: n of the tensor's type, from x: n little-endian ones, at any address; NULL: as
  ** they are */
  void (*widen)(void *y, const void *x, df_int n);
} df_number;

const df_number *df_number_find(const char *name); /* NULL: no such type */

/* The first of n numbers that the tensor's type doesn't hold, or -1. Only u64 has such
** numbers. `big`: they are big-endian. */
df_int df_number_misfit(const df_number *number, const void *x, df_int n, bool big);

/* y: n elements of number->dtype from the file's bytes. */
void df_number_read(const df_number *number, void *y, const void *x, df_int n, bool big);

#endif
