/* One dimension brought to lie together, behind the others, and put back: what sorting
** and running sums work along. */
#ifndef df_line_h
#define df_line_h

#include "ops/tape.h"

/* x with `dims` (0: all) behind the others; *length elements make a line */
df_tensor *df_lines_of(df_tape *tape, df_tensor *x, unsigned dims, df_int *length);

/* dimension dim becomes the last; and back */
df_tensor *df_to_last(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_from_last(df_tape *tape, df_tensor *x, int dim);

/* ln softmax of a line, in two steps: c of the whole line, then y = (x + c[0]) + c[1] of
** its parts. The largest goes off first, so nothing is lost where x is large. False: all of
** the line is -inf, and so is y. */
bool df_log_shares_of(const df_real *line, df_int n, df_real c[2]);
void df_log_shares(df_real *y, const df_real *x, const df_real c[2], df_int n);

#endif
