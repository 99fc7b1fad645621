/* Whole numbers: results of i64 are exact, or refused with a sentence; and they become
** reals only where reals hold them. */
#ifndef df_whole_h
#define df_whole_h

#include "ops/tape.h"

/* Fails if x is i64 and holds numbers that `as` (f32 or f64) would round. */
df_code df_whole_fits(const df_tensor *x, df_dtype as);

/* Fails if x, of any type, holds what no i64 is: fractions, nan, 2^63 and beyond. */
df_code df_only_whole(const char *name, const df_tensor *x);

/* -1, 0, 1: a is less than x, the same, more; 2: x is NaN. Nothing is rounded. */
int df_whole_order(int64_t a, double x);

/* |a - x|, rounded once */
double df_whole_distance(int64_t a, double x);

/* As df_sum, df_prod, df_cumsum and df_matmul, of whole numbers; i64. */
df_tensor *df_whole_sum(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_whole_prod(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_whole_cumsum(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_whole_matmul(df_tape *tape, df_tensor *a, df_tensor *b);

#endif
