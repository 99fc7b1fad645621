/* Winograd's F(4 x 4, 3 x 3): a quarter of the multiplications of a 3 x 3 convolution. */
#ifndef df_conv_winograd_h
#define df_conv_winograd_h

#include "engine/conv.h"

extern const df_algorithm df_conv_winograd;

#endif
