/* A running average of a model's values, which samples in its place. */
#ifndef df_ema_h
#define df_ema_h

#include "nn/home.h"

typedef struct df_ema {
  df_home *home;
  df_storage *values; /* laid out as the values of the model */
  df_int count;       /* its elements */
  df_tensor **value;  /* one per parameter: a window on `values`; NULL: adopted */
  double rate;        /* factor of the old average in the next update; 0: not set yet */
  int64_t updates;
} df_ema;

df_ema *df_ema_new(df_home *home); /* begins as a copy */
void df_ema_free(df_ema *e);       /* NULL is fine */

/* Averages also what has become trainable since. Those begin as copies. */
df_code df_ema_follow(df_ema *e);

/* The average of parameter i. That of an adopted value is the value itself. */
df_tensor *df_ema_value(const df_ema *e, int i);

/* average = rate average + (1 - rate) values; an optimiser's step does the same. */
df_code df_ema_update(df_ema *e);

/* The parts of an update: n elements from `at` on, and its end. At a rate of 0 the end
** copies frozen values too. */
void df_ema_move(const df_ema *e, df_int at, df_int n);
void df_ema_moved(df_ema *e);

/* Exchanges what the layers read: the model's values and their average. A record keeps
** the values that it has read, so gradients of inputs flow through either. Call
** df_ema_follow before the first exchange. */
void df_ema_swap(df_ema *e);

#endif
