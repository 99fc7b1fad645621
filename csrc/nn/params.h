/* Parameters: an identity (name, shape, how it starts) apart from its values. Layers hold
** df_param pointers, never pointers to values, so freezing, sharing and averages cost them
** nothing; values and gradients live in a home (home.h). */
#ifndef df_params_h
#define df_params_h

#include "ops/sink.h"

typedef enum df_init_kind {
  DF_INIT_ZERO,
  DF_INIT_ONE,
  DF_INIT_UNIFORM, /* in (-scale, scale) */
  DF_INIT_NORMAL,  /* of standard deviation `scale` */
  DF_INIT_GIVEN    /* a copy of `given`, which is let go of then */
} df_init_kind;

typedef struct df_init {
  df_init_kind kind;
  double scale;
  df_tensor *given;
} df_init;

typedef struct df_param {
  df_leaf leaf; /* first, so that `need` finds its parameter */
  int refs;
  char *name; /* the path in its model, "blocks.2.conv.weight"; NULL until packed */
  int place;  /* in the list that df_layer_name has put it in last */
  df_shape shape;
  df_init init;
  df_tensor *value;     /* what ops read; NULL until packed */
  struct df_home *home; /* NULL: not packed yet, or its model is gone */
  df_int at;            /* of its values in the home's vector, in elements */
} df_param;

/* Retains init.given. */
df_param *df_param_new(const df_shape *shape, df_init init);
df_param *df_param_retain(df_param *p);
void df_param_release(df_param *p); /* NULL is fine */

df_int df_param_count(const df_param *p);

/* Writes the first values: Philox keyed by the seed and a hash of the name, so a layer
** more or less leaves the others' start alone. */
void df_param_start(df_param *p, uint64_t seed);

#endif
