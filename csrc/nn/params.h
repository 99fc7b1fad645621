/* Parameters: an identity (name, shape, first value) separate from the value. Layers hold
** df_param pointers, never pointers to values, so freezing, weight sharing and averages
** cost nothing. The parameter buffer (`nn/home.h`) holds values and gradients. */
#ifndef df_params_h
#define df_params_h

#include "ops/sink.h"

typedef enum df_init_kind {
  DF_INIT_ZERO,
  DF_INIT_ONE,
  DF_INIT_UNIFORM, /* in (-scale, scale) */
  DF_INIT_NORMAL,  /* standard deviation `scale` */
  DF_INIT_GIVEN    /* a copy of `given`, which is released then */
} df_init_kind;

typedef struct df_init {
  df_init_kind kind;
  double scale;
  df_tensor *given;
} df_init;

typedef struct df_param {
  df_leaf leaf; /* first, so that `need` finds its parameter */
  int refs;
  char *name; /* the path in its model, "blocks.2.conv.weight"; NULL until named */
  int place;  /* index in the list that df_layer_name put it in last */
  df_shape shape;
  df_init init;
  df_tensor *source;    /* until the start: the given value, instead of init */
  bool adopted;         /* the value is the source itself, else a copy of it */
  bool fixed;           /* never trained */
  df_tensor *value;     /* the tensor that ops read; NULL until it is started */
  struct df_home *home; /* NULL: not in a model yet, or its model is gone */
  df_int at;            /* offset in the vector of values, in elements; -1: adopted */
  int optimisers;       /* number of those that move it */
  int turn;             /* its place among gradients that ranks sum (nn/over.h), or -1 */
} df_param;

/* Retains init.given. */
df_param *df_param_new(const df_shape *shape, df_init init);
/* For a new parameter that is never trained. */
void df_param_fix(df_param *p);
df_param *df_param_retain(df_param *p);
void df_param_release(df_param *p); /* NULL is fine */

/* Releases the gradient. */
void df_param_forget(df_param *p);

df_int df_param_count(const df_param *p);

/* Writes the first values: the source's, or those of init. Philox is keyed by the seed
** and a hash of the name. So adding a layer does not change the first values of the
** others. */
void df_param_start(df_param *p, uint64_t seed);

#endif
