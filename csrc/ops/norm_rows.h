/* Norms of the rows of the last dimension. The rows are cut into parts by shape alone. */
#ifndef df_norm_rows_h
#define df_norm_rows_h

#include "base/pool.h"
#include "ops/sink.h"

typedef struct df_norm_rows {
  df_int rows, C, span, parts; /* parts of `span` rows of C elements */
} df_norm_rows;

/* x: ..., C, with elements */
df_norm_rows df_norm_rows_of(const df_tensor *x);
/* Runs a task of parts over the pool. */
void df_norm_rows_run(const df_norm_rows *r, df_task *task, void *context);
/* The row behind the last of a part. */
df_int df_norm_rows_end(const df_norm_rows *r, df_int part);
/* Adds the sums of all parts, in order, to the gradient of an operand of C elements. The
** sums of part p begin at sum + p * stride. */
df_code df_norm_rows_fold(const df_norm_rows *r, const double *sum, df_int stride,
                          df_node *node, int operand);
/* Fails unless x has elements, and w (called `what`) is NULL or has C of them. */
df_code df_norm_rows_check(const char *op, const char *what, const df_tensor *w,
                           const df_tensor *x);

#endif
