/* AdamW over the trainable parameters of some models. Clipping by the global norm, the
** step and the averages are one pass. */
#ifndef df_optim_h
#define df_optim_h

#include "base/link.h"
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
  df_storage *m, *v;   /* first and second moments */
  df_int count;        /* elements of each, over all ranks */
  const df_link *link; /* ranks that update a part of the elements each; NULL: none do */
  df_int own, own_end; /* this rank's part */
  bool parted;         /* m and v hold this part alone */
  int64_t steps;       /* applied */
} df_optim;

/* An optimiser of the parameters that are trainable now. `group` has an entry for each
** parameter of each model, in order. Fails if nothing is trainable. */
df_optim *df_optim_new(df_home *const *home, int homes, const int *group);
void df_optim_free(df_optim *o); /* NULL is fine */

/* optim_shard.c. Keeps a part of the moments only. This rank updates the parameters of
** that part, and gets the others' values from the other ranks (ZeRO-1, Rajbhandari et al.
** 2020). Call it before the first step. */
df_code df_optim_shard(df_optim *o, const df_link *link);
/* All ranks call these: m and v hold all moments, and only a part again. */
df_code df_optim_whole(df_optim *o);
df_code df_optim_part(df_optim *o);
/* After a step of the own part: all ranks get all values. */
df_code df_optim_share_values(df_optim *o);

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

/* The place in the moments of the first element of a piece. */
df_int df_piece_at(const df_optim *o, const df_piece *q);
/* Is it a piece that this rank updates? */
bool df_piece_is_own(const df_optim *o, const df_piece *q);

#endif
