/* Bayes' rule for the Gaussians q(x_s | x_0) q(x_t | x_s), in logarithms. */
#include "process/posterior.h"

#include <math.h>

df_posterior df_posterior_between(df_level t, df_level s) {
  double fresh =
      -expm1(2 * (df_level_lambda(t) - df_level_lambda(s))); /* 1 - SNR_t/SNR_s */
  return (df_posterior){
    .c0 = exp(s.ln_a) * fresh,                          /* eq. 7, factor of x_0 */
    .ct = exp(t.ln_a - s.ln_a + 2 * (s.ln_s - t.ln_s)), /* eq. 7, factor of x_t */
    .variance = exp(2 * s.ln_s) * fresh,                /* eq. 7, beta tilde */
  };
}
