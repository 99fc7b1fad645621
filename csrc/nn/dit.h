/* A denoiser for images: the diffusion transformer of Peebles & Xie 2023, section 3.2,
** with the blocks that they call adaLN-Zero. */
#ifndef df_dit_h
#define df_dit_h

#include "nn/layers.h"

typedef struct df_dit_opts {
  df_int H, W, C; /* of an image; any H and W that the patch divides may be run */
  df_int patch;   /* sides of what becomes one token */
  df_int width;   /* of a token, a multiple of 4 */
  df_int heads;   /* divide the width */
  df_int depth;   /* blocks */
  df_int ratio;   /* of the widths inside and outside of a block's two products */
  df_int classes; /* 0: none */
  df_int outputs; /* copies of C that come out, side by side */
  double dropout;
  bool self_condition; /* told its own x0 too: patches of 2 C channels */
  bool recompute;      /* blocks keep their inputs alone for the way back */
} df_dit_opts;

/* xt: B, H, W, C   t: B   class: B or NULL   x0: as xt or NULL  ->  B, H, W, outputs C
** h = linear(patches) + places; in each block, of c the embedding of t and class,
**   a1, s1, g1, a2, s2, g2 = linear(c)
**   h += g1 attention(norm(h) (1 + s1) + a1)
**   h += g2 linear(dropout(gelu(linear(norm(h) (1 + s2) + a2))))
** then a, s = linear(c) and patches = linear(norm(h) (1 + s) + a). The norms are layer
** norms without parameters; gelu is x Phi(x), where their code takes tanh for it. The
** linear of c and the last one start at zero: a block starts as the identity and the
** network at 0. places are those of He et al. 2022: of the patch at row y and column x
** [sin x w_k, cos x w_k, sin y w_k, cos y w_k], w_k = 10000^(-4k/width), k < width/4. */
df_layer *df_dit(const df_dit_opts *o);

#endif
