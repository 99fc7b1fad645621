/* A noise level x = a x_0 + s eps is stored as ln a and ln s. Products become sums, and
** a = 0 or s = 0 is -infinity instead of a special case. All numbers are doubles. */
#ifndef df_levels_h
#define df_levels_h

#include "base/base.h"

typedef struct df_level {
  double ln_a, ln_s; /* signal and noise; never both -infinity */
} df_level;

df_level df_level_clean(void);               /* level 0: a = 1, s = 0 */
df_level df_level_vp(double lambda);         /* a^2 + s^2 = 1 with ln(a/s) = lambda */
df_level df_level_alpha_bar(double ln_ab);   /* the same from ln alpha_bar = 2 ln a */
df_level df_level_ve(double sigma);          /* a = 1, s = sigma */
double df_level_lambda(df_level x);          /* ln(a/s), half the log SNR */
double df_level_signal(df_level x);          /* a */
double df_level_noise(df_level x);           /* s */
double df_level_sigma(df_level x);           /* s/a */
double df_level_snr(df_level x);             /* a^2/s^2 */
double df_level_log_snr(df_level x);         /* ln(a^2/s^2) */
double df_level_signal_variance(df_level x); /* a^2; this is alpha_bar if a^2 + s^2 = 1 */

/* Interpolates between x and y, linearly in lambda, for u in [0, 1]. With vp the result
** has a^2 + s^2 = 1; else ln a is linear too. */
df_level df_level_between(df_level x, df_level y, double u, bool vp);

#endif
