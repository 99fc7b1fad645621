/* Layers of several parts: what networks on images repeat. */
#ifndef df_block_h
#define df_block_h

#include "nn/layers.h"

/* conv(dropout(silu(group norm(x + e)))) + add, the norm writing what the convolution
** reads. Inputs x, add or NULL, e (B, in) or NULL.
**   in, out, kernel, conv, norm, bias, zero */
df_layer *df_norm_conv_layer(const df_layer_opts *o);

/* The residual block of Ho et al. 2020: h = norm_conv(x); h += linear(e); norm_conv with
** dropout, starting at zero; + x, through a 1x1 convolution where in != out. e is
** activated by whoever makes it, once for all blocks.
**   x: B, H, W, in   e: B, width  ->  B, H, W, out       in, out, width, norm, keep */
df_layer *df_res_block_layer(const df_layer_opts *o);

/* Self-attention over tokens (B, N, C) or pixels (B, H, W, C).  in, heads, zero */
df_layer *df_attention_layer(const df_layer_opts *o);

/* x + attention(group norm(x)), starting as the identity.  in, heads, norm */
df_layer *df_attention_block_layer(const df_layer_opts *o);

/* Nearest neighbours, `times` as large, then a 3x3 convolution.  in, out, times */
df_layer *df_upsample_layer(const df_layer_opts *o);

/* A 3x3 convolution of stride 2: half as large.  in, out, conv: zeros around */
df_layer *df_downsample_layer(const df_layer_opts *o);

/* The usual 3x3 convolution: stride 1, one zero around. */
df_layer_opts df_conv3_opts(df_int in, df_int out);

#endif
