/* Integers next to reals. They become reals only where reals hold them, and comparisons
** with reals are exact. */
#ifndef df_whole_h
#define df_whole_h

#include "base/error.h"
#include "tensor/tensor.h"

/* Fails if x is i64 and holds numbers that `as` (f32 or f64) would round. */
df_code df_whole_fits(const df_tensor *x, df_dtype as);

/* Fails if x, of any type, holds numbers that i64 can't: fractions, NaN, 2^63 and
** beyond. */
df_code df_only_whole(const char *name, const df_tensor *x);

/* -1: a is less than x, 0: equal, 1: more, 2: x is NaN. Nothing is rounded. */
int df_whole_order(int64_t a, double x);

/* |a - x|, rounded once */
double df_whole_distance(int64_t a, double x);

#endif
