/* Lines: one or more dimensions moved behind the others, so that their elements are
** adjacent, and moved back. Sorting and running sums work along lines. */
#ifndef df_line_h
#define df_line_h

#include "ops/tape.h"

/* x with `dims` (0: all) behind the others; a line has *length elements */
df_tensor *df_lines_of(df_tape *tape, df_tensor *x, unsigned dims, df_int *length);

/* dimension dim becomes the last; and back */
df_tensor *df_to_last(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_from_last(df_tape *tape, df_tensor *x, int dim);

/* ln softmax of a line in two steps: c of the whole line, then y = (x + c[0]) + c[1] of
** its parts. The largest element is subtracted first, so a large x loses no digits.
** False: all of the line is -inf, and so is y. */
bool df_log_shares_of(const df_real *line, df_int n, df_real c[2]);
void df_log_shares(df_real *y, const df_real *x, const df_real c[2], df_int n);

#endif
