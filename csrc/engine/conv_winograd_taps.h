/* Winograd's algorithm for few tiles: its weights are packed as taps. */
#ifndef df_conv_winograd_taps_h
#define df_conv_winograd_taps_h

#include "engine/conv.h"

extern const df_algorithm df_conv_winograd_taps;

#endif
