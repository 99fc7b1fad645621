/* Conversions between descriptions of a noise level. */
#include "process/levels.h"

#include <math.h>

/* ln(1 - e^x), x <= 0, without cancellation */
static double ln1mexp(double x) {
  const double ln_half = -0.69314718055994531;
  return x > ln_half ? log(-expm1(x)) : log1p(-exp(x));
}

df_level df_level_clean(void) { return (df_level){ 0, -INFINITY }; }

df_level df_level_vp(double lambda) {
  if (lambda > 0) {
    double ln_a = -0.5 * log1p(exp(-2 * lambda));
    return (df_level){ ln_a, ln_a - lambda };
  }
  double ln_s = -0.5 * log1p(exp(2 * lambda));
  return (df_level){ ln_s + lambda, ln_s };
}

df_level df_level_alpha_bar(double ln_ab) {
  return (df_level){ 0.5 * ln_ab, 0.5 * ln1mexp(ln_ab) };
}

df_level df_level_ve(double sigma) { return (df_level){ 0, log(sigma) }; }

double df_level_lambda(df_level x) { return x.ln_a - x.ln_s; }
double df_level_signal(df_level x) { return exp(x.ln_a); }
double df_level_noise(df_level x) { return exp(x.ln_s); }
double df_level_sigma(df_level x) { return exp(x.ln_s - x.ln_a); }
double df_level_snr(df_level x) { return exp(2 * df_level_lambda(x)); }
double df_level_log_snr(df_level x) { return 2 * df_level_lambda(x); }
double df_level_signal_variance(df_level x) { return exp(2 * x.ln_a); }

df_level df_level_between(df_level x, df_level y, double u, bool vp) {
  double lambda = (1 - u) * df_level_lambda(x) + u * df_level_lambda(y);
  if (vp) return df_level_vp(lambda);
  double ln_a = (1 - u) * x.ln_a + u * y.ln_a;
  return (df_level){ ln_a, ln_a - lambda };
}
