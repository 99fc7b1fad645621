/* Convolutions are computed as products of bf16: rounded at medium, in two planes at
** high. */
#ifndef df_conv_tile_h
#define df_conv_tile_h

#include "engine/conv.h"

extern const df_algorithm df_conv_tiles;

/* Its packed weights of a stride of 1. They are panels, with one plane at medium. A panel
** has the taps in order, and a tap has C channels, with zeros to df_half_width(C), in
** pairs of DF_PANEL columns. */
size_t df_tile_bytes(const df_conv *c);
df_code df_tile_pack(void *packed, const df_weights *w, const df_conv *c);

/* The same for the gradient of x: C columns, K channels, and the taps turned. */
size_t df_tile_back_bytes(const df_conv *c);
df_code df_tile_back_pack(void *packed, const df_weights *w, const df_conv *c);

#endif
