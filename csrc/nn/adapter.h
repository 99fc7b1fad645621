/* Low-rank adapters of linear layers and convolutions (Hu et al. 2021, eq. 3):
**
**   y = layer(x) + scale B A x
**
** A has the layer's kernel, stride and zeros around, and `rank` outputs. B is a linear
** layer, or a 1x1 convolution. A is drawn and B begins at 0, so the layer's result is
** unchanged at first. An adapter of one of a fused layer's `parts` (q, k or v) adds to
** its columns alone. A and B are layers of a parameter buffer of their own. */
#ifndef df_adapter_h
#define df_adapter_h

#include "nn/layers.h"

/* A and B for one of `parts` equal parts of a layer's columns. A is drawn normal with
** standard deviation `normal`, or as the layer itself if that is 0. Returns NULL with the
** sentence set. */
df_layer *df_adapter_down(const df_layer *layer, df_int rank, double normal);
df_layer *df_adapter_up(const df_layer *layer, df_int rank, df_int parts);

/* Adds an adapter, which keeps both layers. `at`: its first column. It is off. */
df_code df_adapter_add(df_layer *layer, df_layer *down, df_layer *up, df_int at);
/* Removes the adapter of this A, if there is one. */
void df_adapter_remove(df_layer *layer, const df_layer *down);
/* Changes it. Records that read its values notice it. */
void df_adapter_set(df_layer *layer, const df_layer *down, double scale, double dropout);

/* y with the layer's adapters of x added; NULL stays NULL. */
df_tensor *df_adapted(df_tape *tape, const df_layer *layer, df_tensor *x, df_tensor *y);
/* Is an adapter's dropout on? Then x must be in rows. */
bool df_adapters_drop(const df_tape *tape, const df_layer *layer);

#endif
