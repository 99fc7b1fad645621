/* AdamW over the trainable parameters of some models. Clipping by the global norm, the
** step and the averages are one pass. */
#ifndef df_optim_h
#define df_optim_h

#include "nn/ema.h"

/* A parameter with its place in the vectors of moments. */
typedef struct df_slice {
  df_param *param;
  int group;
  df_int at;
} df_slice;

/* Some elements of a slice, which one thread processes. */
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
  df_storage *m, *v; /* first and second moments */
  df_int count;      /* elements of each */
  int64_t steps;     /* applied */
} df_optim;

/* An optimiser of the parameters that are trainable now. `group` has an entry for each
** parameter of each model, in order. Fails if nothing is trainable. */
df_optim *df_optim_new(df_home *const *home, int homes, const int *group);
void df_optim_free(df_optim *o); /* NULL is fine */

typedef struct df_group {
  double lr, decay; /* learning rate of this step, weight decay (decoupled) */
} df_group;

typedef struct df_step {
  double beta1, beta2, tiny;
  double clip;           /* largest global L2 norm of the gradient; 0: none */
  bool mean;             /* gradients of k backward passes: their mean, else their sum */
  const df_group *group; /* indexed by the numbers in `group` of df_optim_new */
  df_ema *const *ema;    /* averages to update */
  int emas;
} df_step;

/* One step: *norm is the gradient's, before clipping. A parameter that no gradient
** reached has gradient 0; one frozen since is not changed. If the norm is not finite,
** nothing changes. Gradients stay: see df_optim_zero. Fails if no gradient arrived, or if
** no optimiser moves a parameter that is trainable now. */
df_code df_optim_step(df_optim *o, const df_step *step, double *norm);
void df_optim_zero(df_optim *o); /* frees them */

#endif
