/* A running average of a model's values: the network that samples. */
#ifndef df_ema_h
#define df_ema_h

#include "nn/home.h"

typedef struct df_ema {
  df_home *home;
  df_storage *values; /* laid out as the home's */
  df_tensor **value;  /* windows on it, one a parameter; constants for the tape */
  double decay;
  bool warmup;
  int64_t updates;
} df_ema;

df_ema *df_ema_new(df_home *home, double decay, bool warmup); /* begins as a copy */
void df_ema_free(df_ema *e);                                  /* NULL is fine */

/* The share that the average keeps at the next update, k updates before it: decay, and
** with warm-up min(decay, (1 + k) / (10 + k)). */
double df_ema_rate(const df_ema *e);

/* average = rate average + (1 - rate) values; an optimiser's step does the same. */
void df_ema_update(df_ema *e);

/* Exchanges what the layers read: the model's values and their average. A record keeps
** what it has seen, so gradients with respect to inputs flow through either. */
void df_ema_swap(df_ema *e);

#endif
