/* A denoiser for points: a residual network on vectors. */
#ifndef df_mlp_h
#define df_mlp_h

#include "nn/layers.h"

typedef struct df_mlp_opts {
  df_int dim;     /* of a point */
  df_int hidden;  /* width, even */
  df_int depth;   /* blocks */
  df_int classes; /* 0: none */
} df_mlp_opts;

/* xt: B, dim   t: B   class: B or NULL  ->  B, dim
** h = linear(xt); depth times h += linear(silu(linear(layer norm(h) + e))), e the
** embedding of t and class; then linear(layer norm(h)). The last linear of a block and of
** the network starts at zero. */
df_layer *df_mlp(const df_mlp_opts *o);

#endif
