/* Convolutions by weights that are not kept packed. Blocks of columns are packed into a
** workspace of a few MiB and multiplied, one after the other. A column is summed as in
** one product of all, so the bits are the same. */
#ifndef df_conv_columns_h
#define df_conv_columns_h

#include "engine/conv.h"

/* As a->forward, whose columns are outputs. */
df_code df_columns_forward(const df_algorithm *a, const df_conv *c, df_real *y,
                           const df_image *x, const df_weights *w, const df_real *bias,
                           const df_real *add);

/* As a->data, whose columns are inputs. */
df_code df_columns_data(const df_algorithm *a, const df_conv *c, df_real *dx,
                        bool accumulate, const df_real *dy, const df_weights *w);

#endif
