/* AdamW over the trainable parameters of some homes: global-norm clip, the step, and the
** averages, in one pass. */
#ifndef df_optim_h
#define df_optim_h

#include "nn/ema.h"

/* A parameter with its place in the vectors of moments. */
typedef struct df_slice {
  df_param *param;
  int group;
  df_int at;
} df_slice;

/* What a thread works at once: some elements of a slice. */
typedef struct df_piece {
  int slice;
  df_int first, n;
} df_piece;

typedef struct df_optim {
  df_home **home;
  int homes;
  df_slice *slice;
  int slices;
  df_piece *piece;
  int pieces;
  df_storage *m, *v; /* first and second moments; NULL until the first step */
  df_int count;      /* elements of each */
  int64_t steps;     /* applied */
} df_optim;

/* Of all that is trainable in the homes now. `group` has an entry for each parameter of
** the homes, one after the other. Fails if nothing is trainable. */
df_optim *df_optim_new(df_home *const *home, int homes, const int *group);
void df_optim_free(df_optim *o); /* NULL is fine */

typedef struct df_group {
  double lr, decay; /* learning rate of this step, weight decay (decoupled) */
} df_group;

typedef struct df_step {
  double beta1, beta2, tiny;
  double clip;           /* largest global L2 norm of the gradient; 0: none */
  bool mean;             /* k backward walks: their mean, else their sum */
  const df_group *group; /* by the numbers that `group` of df_optim_new has */
  df_ema *const *ema;    /* averages to move along */
  int emas;
} df_step;

/* One step: *norm is that of the gradient before clipping. A parameter that no gradient
** reached counts with 0; one frozen since is left alone. Where the norm isn't finite
** nothing is changed. Gradients stay: see df_optim_zero. Fails if none has arrived. */
df_code df_optim_step(df_optim *o, const df_step *step, double *norm);
void df_optim_zero(df_optim *o);

/* The vectors of moments, zeros if they are new. */
df_code df_optim_need_moments(df_optim *o);

#endif
