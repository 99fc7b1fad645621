/* The gradient of a convolution's weights by taps. Shapes alone cut its work, and partial
** sums are folded in order. */
#ifndef df_conv_weight_h
#define df_conv_weight_h

#include "engine/conv.h"

/* As `weight` of df_algorithm; x in ROWS or PADDED. */
df_code df_conv_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy);

/* dw (K x rows) = or += the transpose of the sum of `parts` partial gradients (rows x K),
** in their order. Rows are taps by channels, columns are outputs. */
df_code df_weight_fold(df_real *dw, bool accumulate, const df_real *partial, df_int parts,
                       df_int rows, df_int K);

#endif
