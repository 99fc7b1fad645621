/* One dimension brought to lie together, behind the others, and put back: what sorting
** and running sums work along. */
#ifndef df_line_h
#define df_line_h

#include "ops/tape.h"

/* dimension dim becomes the last; and back */
df_tensor *df_to_last(df_tape *tape, df_tensor *x, int dim);
df_tensor *df_from_last(df_tape *tape, df_tensor *x, int dim);

#endif
