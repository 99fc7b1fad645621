/* Lines: the elements along one or several dimensions, brought to lie together. */
#ifndef df_line_h
#define df_line_h

#include "ops/tape.h"

/* x as dense reals with `dims` (0: all) behind the others; *length elements make a line */
df_tensor *df_lines(df_tape *tape, df_tensor *x, unsigned dims, df_int *length);

/* dimension dim becomes the last; and back */
df_tensor *df_to_last(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_from_last(df_tape *tape, df_tensor *x, int dim);

#endif
