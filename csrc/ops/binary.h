/* The parts of functions of two numbers that in-place and masking ops share. */
#ifndef df_binary_h
#define df_binary_h

#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/op.h"

/* y = the results of n pairs; false if i64 doesn't hold one of them */
typedef bool df_whole(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n);

const char *df_binary_name(const df_binary_op *row);
df_binary *df_binary_kernel(const df_binary_op *row);
/* NULL: the row computes reals only */
df_whole *df_binary_whole(const df_binary_op *row);

/* The shape to which a and b broadcast. The error names the op. */
df_code df_fit_shapes(const char *name, const df_tensor *a, const df_tensor *b,
                      df_shape *both);
/* The same. Fails also if this build can't compute with a or b. */
df_code df_fit(const char *name, const df_tensor *a, const df_tensor *b, df_shape *both);

/* y = a row's results for integers. If y is NULL, they are only tried. Fails with the
** first pair whose result i64 doesn't hold. */
df_code df_whole_run(const df_binary_op *row, int64_t *y, const df_array *a,
                     const df_array *b, df_int count);
bool df_both_whole(const df_tensor *a, const df_tensor *b);

#endif
