/* What in-place and masking ops share with the functions of two numbers. */
#ifndef df_binary_h
#define df_binary_h

#include "kernels/kernels.h"
#include "ops/op.h"

typedef int64_t df_whole(int64_t a, int64_t b);

const char *df_binary_name(const df_binary_op *row);
df_binary *df_binary_kernel(const df_binary_op *row);
df_whole *df_binary_whole(const df_binary_op *row); /* NULL: of reals only */

/* The shape of a and b together; fails with a sentence that names the op. */
df_code df_fit(const char *name, const df_tensor *a, const df_tensor *b, df_shape *both);
bool df_both_whole(const df_tensor *a, const df_tensor *b);

#endif
