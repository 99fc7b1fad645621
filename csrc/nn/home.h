/* A home: one aligned vector for all values of a model. Gradients have their own vector,
** made at the first arrival, for what is trainable then; a frozen parameter has none. */
#ifndef df_home_h
#define df_home_h

#include "nn/params.h"

typedef struct df_home {
  int refs;
  int n;
  df_param **param;   /* in the order of the names' first appearance */
  df_storage *values; /* `count` reals */
  df_int count;       /* each parameter begins at a cache line; the gaps hold 0 */
} df_home;

/* Moves parameters in, new and named by df_layer_name, and gives them their first values.
** Fails if two have one name. */
df_home *df_home_new(df_param *const *param, int n, uint64_t seed);
df_home *df_home_retain(df_home *h);
/* With the last reference the parameters become constants: they keep their values. */
void df_home_release(df_home *h); /* NULL is fine */

/* Freezing or thawing lets go of all gradients of the home. */
void df_home_set_trainable(df_home *h, int i, bool trainable);
void df_home_forget(df_home *h); /* lets go of the gradients */

df_int df_home_elements(const df_home *h, bool trainable_only);

#endif
