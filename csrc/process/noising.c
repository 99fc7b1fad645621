/* The moments of q(x_t | x_s), computed from the two levels. s = 0 gives the closed
** form. */
#include "process/noising.h"

#include <math.h>

df_transition df_transition_between(df_level t, df_level s) {
  /* s_t^2 - (a_t/a_s)^2 s_s^2 = s_t^2 (1 - SNR_t/SNR_s) */
  double fresh = -expm1(2 * (df_level_lambda(t) - df_level_lambda(s)));
  return (df_transition){ exp(t.ln_a - s.ln_a), exp(2 * t.ln_s) * fresh };
}
