/* Convolutions are computed as products of bf16: rounded at medium, in two planes at
** high. */
#ifndef df_conv_tile_h
#define df_conv_tile_h

#include "engine/conv.h"

extern const df_algorithm df_conv_tiles;

#endif
