/* Arrays folded over some of their dimensions. Sums, extremes and the gradients of
** broadcast operands are such folds. */
#ifndef df_fold_h
#define df_fold_h

#include "base/error.h"
#include "tensor/shape.h"

typedef struct df_reducer df_reducer;
extern const df_reducer df_summing, df_maximal, df_minimal;
extern const df_reducer df_rooting; /* the square root of the sum of squares */

/* to = beta to + scale (x folded over the set of dimensions `dims`); x is dense */
df_code df_reduce_dims(const df_reducer *r, df_real *to, df_real beta, double scale,
                       const df_real *x, const df_shape *shape, unsigned dims);

/* to = beta to + g, summed down to a shape that broadcasts to g's shape. It is the
** gradient of a broadcast operand. */
df_code df_reduce_to(df_real *to, df_real beta, const df_shape *shape, const df_real *g,
                     const df_shape *g_shape);

/* The shape that is left of x. With `keep`, folded dimensions stay with size 1. */
void df_reduced_shape(const df_shape *x, unsigned dims, bool keep, df_shape *y);

#endif
