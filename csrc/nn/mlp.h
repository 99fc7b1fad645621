/* A denoiser for points: a residual network on vectors. */
#ifndef df_mlp_h
#define df_mlp_h

#include "nn/layers.h"

typedef struct df_mlp_opts {
  df_int dim;          /* of a point */
  df_int hidden;       /* width, even */
  df_int depth;        /* blocks */
  df_int classes;      /* 0: none */
  df_int outputs;      /* copies of dim that come out, side by side */
  bool self_condition; /* told its own x0 too: the first layer is twice as wide */
  bool recompute;      /* blocks keep their inputs alone for the way back */
} df_mlp_opts;

/* xt: B, dim   t: B   class: B or NULL   x0: B, dim or NULL  ->  B, outputs dim
** h = linear(xt), or with self_condition linear(cat(xt, x0 or zeros)); depth times h +=
** linear(silu(linear(layer norm(h) + e))), e the embedding of t and class; then
** linear(layer norm(h)) + linear(e) xt. The gate on xt is what a point far out needs: the
** norm takes its size away, and at the noisy end eps is nearly xt. The last linear of a
** block, and both at the end, start at zero. */
df_layer *df_mlp(const df_mlp_opts *o);

#endif
