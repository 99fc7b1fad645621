/* The gradient of a convolution's weights. Its cut is by shape, and partial sums are
** folded in order. */
#ifndef df_conv_weight_h
#define df_conv_weight_h

#include "engine/conv_tap.h"

/* dw (K, R, S, C, dense) = or += sum over images and pixels of dy times what w met in x;
** dy: B, P, Q, K dense. */
df_code df_conv_weight(const df_conv *c, df_real *dw, bool accumulate, const df_image *x,
                       const df_real *dy);

#endif
