/* The parameter buffer of one model. Parameters are named first. Then each is adopted,
** given, or left to be drawn, and df_home_start makes the values. Values that are not
** adopted are in one aligned vector. A gradient is a block of its own from its first
** arrival until it is zeroed. */
#ifndef df_home_h
#define df_home_h

#include "nn/params.h"

typedef struct df_home {
  int refs;
  int n;
  df_param **param;   /* in the order in which names appeared first */
  df_storage *values; /* `count` reals; NULL until the start */
  df_int count;       /* each parameter begins at a cache line; gaps are 0 */
  df_int adopted;     /* bytes of adopted values */
  bool lent;          /* its parameters have an average's values: see df_ema_swap */
} df_home;

/* Takes new parameters, named by df_layer_name. Fails if two have one name. */
df_home *df_home_new(df_param *const *param, int n);
df_home *df_home_retain(df_home *h);
/* With the last reference the parameters become constants: they keep their values. */
void df_home_release(df_home *h); /* NULL is fine */

/* Before the start: parameter i becomes a frozen window on x, which has the parameter's
** shape, any float type and any strides. Its value is neither drawn nor copied. */
df_code df_home_adopt(df_home *h, int i, df_tensor *x);
/* Before the start: parameter i begins as a copy of x, which has its shape. */
df_code df_home_give(df_home *h, int i, df_tensor *x);
/* Makes the values; those neither adopted nor given are drawn. Once. */
df_code df_home_start(df_home *h, uint64_t seed);

/* Releases all gradients if it changes anything. Fixed parameters stay frozen. Adopted
** parameters that become trainable are copied into the vector first, as reals. It grows
** once for all n of them. That fails while the values are lent. */
df_code df_home_set_trainable(df_home *h, const int *index, int n, bool trainable);
/* After the start: writes the values of n parameters, or none if it fails. An adopted one
** becomes a window on x[k] instead. */
df_code df_home_put(df_home *h, const int *index, df_tensor *const *x, int n);
void df_home_forget(df_home *h); /* releases the gradients */

/* Makes a vector of reals longer. All windows on it see the longer one, whose new part is
** undefined. */
df_code df_lengthen(df_storage *s, df_int from, df_int to);

df_int df_home_elements(const df_home *h, bool trainable_only);

#endif
