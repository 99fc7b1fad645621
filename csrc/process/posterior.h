/* The posterior q(x_s | x_t, x_0) of any two levels, the target of the learned reverse
** step. */
#ifndef df_posterior_h
#define df_posterior_h

#include "process/levels.h"

typedef struct df_posterior {
  double c0, ct, variance; /* N(c0 x_0 + ct x_t, variance I) */
} df_posterior;

/* Ho et al. 2020, eq. 6 and 7, with x_s in the place of x_{t-1}. At s = 0 it is x_0
** itself: 1, 0, 0. */
df_posterior df_posterior_between(df_level t, df_level s);

#endif
