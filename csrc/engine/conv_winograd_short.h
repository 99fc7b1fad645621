/* Winograd's F(2 x 4, 3 x 3) in bf16: a third of the multiplications of a 3 x 3
** convolution. */
#ifndef df_conv_winograd_short_h
#define df_conv_winograd_short_h

#include "engine/conv.h"

extern const df_algorithm df_conv_winograd_short;

#endif
