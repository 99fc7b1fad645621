/* Operands of any strides and type, read and written one block of elements at a time. An
** op that works in blocks needs no copies of its operands, and no kernel for each layout.
** Elements that are not adjacent are gathered into a few KiB of cache. */
#ifndef df_block_h
#define df_block_h

#include "ops/sink.h"
#include "ops/tape.h"

#define DF_BLOCK 2048 /* elements: the grain of elementwise work, 8 KiB of floats */

typedef struct df_array {
  df_dtype dtype;
  char *data;
  int ndim; /* adjacent dimensions are merged into one; a single value has none */
  df_int size[DF_DIMS], stride[DF_DIMS];
} df_array;

/* x broadcast to `shape`. */
df_array df_array_of(const df_tensor *x, const df_shape *shape);
df_array df_array_at(df_real *data, const df_shape *shape, const df_int *stride);

/* n elements from `first` on, as reals, i64 or f64. Returns a pointer to where they lie
** if they are adjacent, else to a copy in scratch (room for n). *step is 0 if all of them
** are one value, else 1. */
const void *df_fetch(const df_array *a, df_dtype as, df_int first, df_int n,
                     void *scratch, df_int *step);
void df_put(const df_array *a, df_dtype from, df_int first, df_int n, const void *x);

/* to = beta to + c x, x broadcast to `shape` */
void df_accumulate(df_real *to, df_real beta, double c, const df_tensor *x,
                   const df_shape *shape);

/* The gradient of operand i is c g. g may be strided, and is broadcast to the operand's
** `shape`. */
df_code df_sink_take(df_node *node, int i, double c, const df_tensor *g,
                     const df_shape *shape);

/* A broadcast operand's gradient is written at `full`, the shape of the result. Closing
** sums it down to the operand's shape. */
typedef struct df_wide {
  df_real *to; /* NULL: not wanted */
  df_real beta;
  df_shape shape, full;
  df_sink sink;
} df_wide;
df_code df_wide_open(df_tape *tape, df_node *node, int i, const df_shape *shape,
                     const df_shape *full, df_wide *wide);
df_code df_wide_close(const df_wide *wide);

/* Fails if this build can't compute with x: f64 in core.so; blocks. */
df_code df_computable(const char *name, const df_tensor *x);

#endif
