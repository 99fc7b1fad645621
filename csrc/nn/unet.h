/* A denoiser for images: the UNet of Ho et al. 2020, appendix B. unet_plan.c turns options
** into steps and their layers; unet_run.c goes through the steps. */
#ifndef df_unet_h
#define df_unet_h

#include "nn/layers.h"

#define DF_LEVELS 8

typedef struct df_unet_opts {
  df_int H, W, C;         /* of an image; any H and W that the levels divide may be run */
  df_int channels;        /* of the first level, even */
  df_int mult[DF_LEVELS]; /* channels of each level, in units of `channels` */
  int levels;
  df_int blocks;               /* residual blocks a level, one more on the way up */
  df_int attention[DF_LEVELS]; /* at which factors of down-sampling: 1, 2, 4, ... */
  int attentions;
  df_int heads, groups; /* groups 0: df_groups_for */
  df_int classes;       /* 0: none */
  df_int outputs;       /* copies of C that come out, side by side */
  double dropout;
  bool self_condition; /* told its own x0 too: the first layer takes 2 C channels */
  bool recompute;      /* blocks keep their inputs alone for the way back */
} df_unet_opts;

/* xt: B, H, W, C   t: B   class: B or NULL   x0: as xt or NULL  ->  B, H, W, outputs C */
df_layer *df_unet(const df_unet_opts *o);

/* -- between plan and run ------------------------------------------------------------ */
/* One layer on h. `pop`: h becomes cat(h, the newest kept value) before; `push`: it is
** kept for the way up after. */
typedef struct df_unet_step {
  const df_layer *layer;
  bool pop, push, embeds; /* embeds: takes the embedding as well */
  bool recompute;
} df_unet_step;

typedef struct df_unet_plan {
  df_int C, factor; /* H and W are multiples of the factor */
  const df_layer *time;
  int steps, most_kept;
  df_unet_step step[];
} df_unet_plan;

df_tensor *df_unet_run(df_tape *tape, const df_layer *unet, df_tensor *const *x);

#endif
