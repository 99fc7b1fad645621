/* The noising process q(x_t | x_s) between any two levels. */
#ifndef df_noising_h
#define df_noising_h

#include "process/levels.h"

typedef struct df_transition {
  double factor, variance; /* q(x_t | x_s) = N(factor x_s, variance I) */
} df_transition;

/* Noises from the cleaner level s to t. factor is a_t/a_s and variance is s_t^2 -
** factor^2 s_s^2. The variance is beta_t of Ho et al. 2020 if s = t - 1, and 1 -
** alpha_bar_t if s = 0. */
df_transition df_transition_between(df_level t, df_level s);

#endif
