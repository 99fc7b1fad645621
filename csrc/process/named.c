/* Named schedules, each by a formula for beta in which nothing cancels: 1 - alpha_bar_t /
** alpha_bar_{t-1} by subtraction would lose five digits at the first steps. */
#include "process/named.h"

#include <math.h>

static const double half_pi = 1.57079632679489662;

/* The place of t among 1..T, 0 to 1. */
static double place(df_int t, df_int T) {
  return T > 1 ? (double)(t - 1) / (double)(T - 1) : 0;
}

void df_beta_linear(double *beta, df_int T, double first, double last) {
  for (df_int t = 1; t <= T; t++) beta[t - 1] = first + place(t, T) * (last - first);
}

void df_beta_scaled_linear(double *beta, df_int T, double first, double last) {
  for (df_int t = 1; t <= T; t++) {
    double root = sqrt(first) + place(t, T) * (sqrt(last) - sqrt(first));
    beta[t - 1] = root * root;
  }
}

void df_beta_sigmoid(double *beta, df_int T, double first, double last) {
  for (df_int t = 1; t <= T; t++)
    beta[t - 1] = first + (last - first) / (1 + exp(6 - 12 * place(t, T)));
}

/* 1 - cos^2 x / cos^2 y = sin(x + y) sin(x - y) / cos^2 y */
void df_beta_cosine(double *beta, df_int T, double offset) {
  double step = half_pi / ((1 + offset) * (double)T);
  for (df_int t = 1; t <= T; t++) {
    double y = ((double)(t - 1) + offset * (double)T) * step, x = y + step;
    beta[t - 1] = t < T ? sin(x + y) * sin(step) / (cos(y) * cos(y)) : 1;
  }
}

/* With S the logistic function, 1 - (S(end) - S(x)) / (S(end) - S(y)), and S(x) - S(y) =
** sinh((x - y)/2) / (2 cosh(x/2) cosh(y/2)). */
void df_beta_sigmoid_alpha_bar(double *beta, df_int T, double start, double end,
                               double tau) {
  double from = start / tau, to = end / tau, step = (to - from) / (double)T;
  for (df_int t = 1; t <= T; t++) {
    double y = from + (double)(t - 1) * step, x = y + step;
    beta[t - 1] =
        t < T ? sinh(step / 2) * cosh(to / 2) / (cosh(x / 2) * sinh((to - y) / 2)) : 1;
  }
}
