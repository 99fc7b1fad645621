/* A running average of a model's values: the network that samples. */
#ifndef df_ema_h
#define df_ema_h

#include "nn/home.h"

typedef struct df_ema {
  df_home *home;
  df_storage *values; /* laid out as the home's */
  df_tensor **value;  /* windows on it, one a parameter; constants for the tape */
  double rate;        /* the share that the next update keeps; 0 until it is set */
  int64_t updates;
} df_ema;

df_ema *df_ema_new(df_home *home); /* begins as a copy */
void df_ema_free(df_ema *e);       /* NULL is fine */

/* average = rate average + (1 - rate) values; an optimiser's step does the same. */
void df_ema_update(df_ema *e);

/* What an update is made of: n elements from `at` on, and its end, where a rate of 0 has
** copied frozen values too. */
void df_ema_move(const df_ema *e, df_int at, df_int n);
void df_ema_moved(df_ema *e);

/* Exchanges what the layers read: the model's values and their average. A record keeps
** what it has seen, so gradients with respect to inputs flow through either. */
void df_ema_swap(df_ema *e);

#endif
