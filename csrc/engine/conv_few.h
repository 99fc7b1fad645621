/* Convolutions with few outputs, such as a network's last: products first, then
** shifts. */
#ifndef df_conv_few_h
#define df_conv_few_h

#include "engine/conv.h"

extern const df_algorithm df_conv_few;

#endif
