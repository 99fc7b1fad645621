/* The numbers that files hold, as the numbers that tensors hold: the same, or of a type in
** which every one of them has its place. */
#ifndef df_widen_h
#define df_widen_h

#include "tensor/dtype.h"

typedef struct df_number {
  const char *name; /* "f32", "i16", "bool", "f8_e4m3", ... */
  int bytes;        /* of one in a file */
  df_dtype dtype;   /* of the tensor */
  /* y: n of that type, from x: n little-endian ones, at any address; NULL: as they are */
  void (*widen)(void *y, const void *x, df_int n);
} df_number;

const df_number *df_number_find(const char *name); /* NULL: no such type */

/* The first of n numbers in a file that has no place in the tensor's type, or -1: of u64
** some have none. `big`: they are big-endian. */
df_int df_number_misfit(const df_number *number, const void *x, df_int n, bool big);

/* y: n elements of number->dtype from the file's bytes. */
void df_number_read(const df_number *number, void *y, const void *x, df_int n, bool big);

#endif
