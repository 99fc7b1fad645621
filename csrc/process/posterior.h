/* The posterior q(x_s | x_t, x_0) for any two levels. The learned reverse step
** approximates it. */
#ifndef df_posterior_h
#define df_posterior_h

#include "process/levels.h"

typedef struct df_posterior {
  double c0, ct, variance; /* N(c0 x_0 + ct x_t, variance I) */
} df_posterior;

/* Ho et al. 2020, eq. 6 and 7, with x_s instead of x_{t-1}. At s = 0 the posterior is x_0
** itself: c0 = 1, ct = 0, variance = 0. */
df_posterior df_posterior_between(df_level t, df_level s);

#endif
