/* Tensors are reference-counted, strided windows on storage. This room has only shapes
** and windows; arithmetic is in ops/. */
#ifndef df_tensor_h
#define df_tensor_h

#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

typedef struct df_tensor {
  int refs;
  df_dtype dtype;
  df_form form; /* other forms than ROWS have shape B, H, W, C; Lua never sees them */
  df_shape shape;
  df_int stride[DF_DIMS]; /* in elements */
  df_int offset;          /* in elements */
  df_storage *storage;
  struct df_leaf *leaf; /* accumulates the gradient of a parameter (ops/sink.h) */
  uint64_t record;      /* the record that contains it, or 0; its slot there */
  int slot;
} df_tensor;

df_tensor *df_tensor_new(df_dtype dtype, const df_shape *shape); /* dense, undefined */
df_tensor *df_tensor_window(const df_tensor *x, const df_shape *shape,
                            const df_int *stride, df_int offset);
df_tensor *df_tensor_on(df_storage *storage, df_dtype dtype, const df_shape *shape,
                        df_int offset);    /* dense window; adds a reference */
df_tensor *df_tensor_retain(df_tensor *x); /* NULL is fine */
void df_tensor_release(df_tensor *x);      /* NULL is fine */

df_int df_tensor_count(const df_tensor *x);
bool df_tensor_is_dense(const df_tensor *x);
void *df_tensor_data(const df_tensor *x);     /* the first element */
df_real *df_tensor_reals(const df_tensor *x); /* the same, for a tensor of reals */
uint64_t df_tensor_version(const df_tensor *x);
void df_tensor_touch(df_tensor *x);             /* call this after a write */
const char *df_tensor_text(const df_tensor *x); /* its shape, "[8,28,28,1]" */

/* Windows. The caller has checked the ranges. Indices count from 0. */
df_tensor *df_tensor_narrow(const df_tensor *x, int dim, df_int start, df_int length);
df_tensor *df_tensor_select(const df_tensor *x, int dim, df_int index);
df_tensor *df_tensor_permute(const df_tensor *x, const int *order);
df_tensor *df_tensor_expand(const df_tensor *x, const df_shape *shape); /* NULL: misfit */
df_tensor *df_tensor_view(const df_tensor *x, const df_shape *shape);   /* NULL: misfit */

/* A shape in order, as runs along its last dimension. */
typedef struct df_runs {
  df_int runs, length; /* runs of `length` elements */
  int outer;           /* dimensions before the last */
  df_int size[DF_DIMS];
} df_runs;
df_runs df_runs_over(const df_shape *shape);
df_int df_runs_offset(const df_runs *r, df_int run, const df_int *stride);

#endif
