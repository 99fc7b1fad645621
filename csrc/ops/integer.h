/* Sums and products in i64. They are exact, or they fail. */
#ifndef df_integer_h
#define df_integer_h

#include "ops/tape.h"

/* As df_sum, df_prod, df_cumsum and df_matmul, for integers; i64. */
df_tensor *df_whole_sum(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_whole_prod(df_tape *tape, df_tensor *x, unsigned dims, bool keep);
df_tensor *df_whole_cumsum(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_whole_matmul(df_tape *tape, df_tensor *a, df_tensor *b);

#endif
