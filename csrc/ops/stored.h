/* Reading weights as they are stored: 16-bit formats, and ggml's blocks of 32 elements,
** whose elements have no address of their own. */
#ifndef df_stored_h
#define df_stored_h

#include "engine/weights.h"
#include "tensor/tensor.h"

/* The function that reads elements of a type as reals; NULL if none does. */
df_weight_reader *df_stored_reader(df_dtype dtype);

/* n reals from element `at` of x's storage on, for a type that has a reader. */
void df_stored_read(const df_tensor *x, df_int at, df_real *y, df_int n);

/* Copies a tensor in blocks to another type, in order. Shapes are equal. */
void df_blocks_copy(df_tensor *y, const df_tensor *x);

#endif
