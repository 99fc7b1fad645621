/* What in-place and masking ops share with the functions of two numbers. */
#ifndef df_binary_h
#define df_binary_h

#include "kernels/kernels.h"
#include "ops/block.h"
#include "ops/op.h"

/* y = the results of n pairs; false where i64 doesn't hold one */
typedef bool df_whole(int64_t *y, const int64_t *a, df_int sa, const int64_t *b,
                      df_int sb, df_int n);

const char *df_binary_name(const df_binary_op *row);
df_binary *df_binary_kernel(const df_binary_op *row);
df_whole *df_binary_whole(const df_binary_op *row); /* NULL: of reals only */

/* The shape of a and b together; fails with a sentence that names the op. */
df_code df_fit_shapes(const char *name, const df_tensor *a, const df_tensor *b,
                      df_shape *both);
/* The same; or with one that this build doesn't compute. */
df_code df_fit(const char *name, const df_tensor *a, const df_tensor *b, df_shape *both);

/* y (NULL: it is only tried) = a row's results of whole numbers; fails with the first
** pair whose result i64 doesn't hold. */
df_code df_whole_run(const df_binary_op *row, int64_t *y, const df_array *a,
                     const df_array *b, df_int count);
bool df_both_whole(const df_tensor *a, const df_tensor *b);

#endif
