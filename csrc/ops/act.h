/* The kernels of an activation, for ops that apply it to blocks in cache. */
#ifndef df_act_h
#define df_act_h

#include "kernels/kernels.h"
#include "ops/op.h"

typedef struct df_act_kernels {
  df_unary *f;         /* NULL for DF_ACT_NONE */
  df_unary_back *back; /* reads f(x) if keeps_y, else x */
  bool keeps_y;
} df_act_kernels;

df_act_kernels df_act_kernels_of(df_act act);

#endif
