/* Norms of the rows of the last dimension. The rows are cut into spans by shape alone. */
#ifndef df_norm_rows_h
#define df_norm_rows_h

#include "base/pool.h"
#include "ops/parts.h"

typedef struct df_norm_rows {
  df_int rows, C, span, spans; /* spans of up to `span` rows of C elements */
  df_int part, per;            /* rows and spans of a part of the batch (parts.h) */
} df_norm_rows;

/* x: ..., C, with elements. A span belongs to one of so many parts of the batch. */
df_norm_rows df_norm_rows_of(const df_tensor *x, int parts);
/* Runs a task of spans over the pool. */
void df_norm_rows_run(const df_norm_rows *r, df_task *task, void *context);
/* The first row of a span, and the row behind its last. */
df_int df_norm_rows_begin(const df_norm_rows *r, df_int span);
df_int df_norm_rows_end(const df_norm_rows *r, df_int span);
/* Adds the sums of all spans, in order, to the gradient of an operand of C elements. The
** sums of span p begin at sum + p * stride. */
df_code df_norm_rows_fold(const df_norm_rows *r, const double *sum, df_int stride,
                          df_node *node, int operand);
/* Fails unless x has elements, and w (called `what`) is NULL or has C of them. */
df_code df_norm_rows_check(const char *op, const char *what, const df_tensor *w,
                           const df_tensor *x);

#endif
