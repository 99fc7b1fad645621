/* The gradient of a convolution's weights by products of bf16. */
#ifndef df_tile_weight_h
#define df_tile_weight_h

#include "engine/conv.h"

/* As `weight` of df_algorithm. */
df_code df_tile_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy);

/* As `weight_parts` of df_algorithm. */
df_code df_tile_weight_parts(const df_conv *c, int parts, df_real *dw, bool accumulate,
                             const df_image *x, const df_real *dy);

#endif
