/* Operands of any strides and type, read and written a block of elements at a time. An op
** that walks blocks needs neither copies of its operands nor a kernel for each layout:
** what doesn't lie together is gathered into a few KiB of cache. */
#ifndef df_block_h
#define df_block_h

#include "ops/sink.h"
#include "ops/tape.h"

#define DF_BLOCK 2048 /* elements: the grain of elementwise work, 8 KiB of floats */

typedef struct df_array {
  df_dtype dtype;
  char *data;
  int ndim; /* dimensions that lie in a row are one; a single value has none */
  df_int size[DF_DIMS], stride[DF_DIMS];
} df_array;

/* x stretched to `shape`, to which it broadcasts. */
df_array df_array_of(const df_tensor *x, const df_shape *shape);
df_array df_array_at(df_real *data, const df_shape *shape, const df_int *stride);

/* n elements from `first` on, as reals, i64 or f64: where they lie if they lie together,
** else copied to scratch (room for n). Where one value stands for all, *step is 0. */
const void *df_fetch(const df_array *a, df_dtype as, df_int first, df_int n,
                     void *scratch, df_int *step);
void df_put(const df_array *a, df_dtype from, df_int first, df_int n, const void *x);

/* to = beta to + c x, x stretched to `shape` */
void df_accumulate(df_real *to, df_real beta, double c, const df_tensor *x,
                   const df_shape *shape);

/* The gradient of operand i is c g: strided, or stretched to the operand's `shape`. */
df_code df_sink_take(df_node *node, int i, double c, const df_tensor *g,
                     const df_shape *shape);

/* Where a broadcast operand's gradient goes: at `full`, the shape of the result; closing
** sums it down to the operand's. */
typedef struct df_wide {
  df_real *to; /* NULL: not wanted */
  df_real beta;
  df_shape shape, full;
  df_sink sink;
} df_wide;
df_code df_wide_open(df_tape *tape, df_node *node, int i, const df_shape *shape,
                     const df_shape *full, df_wide *wide);
df_code df_wide_close(const df_wide *wide);

/* Fails if x can't be computed with in this build: f64 in core.so. */
df_code df_computable(const char *name, const df_tensor *x);

#endif
