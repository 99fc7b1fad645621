/* Named schedules. The formulas for beta avoid cancellation: computing 1 - alpha_bar_t /
** alpha_bar_{t-1} by subtraction loses five digits at the first steps. */
#include "process/named.h"

#include <math.h>
#include <string.h>

static const double half_pi = 1.57079632679489662;

/* Position of t in 1..T, from 0 to 1. */
static double place(df_int t, df_int T) {
  return T > 1 ? (double)(t - 1) / (double)(T - 1) : 0;
}

/* Parameters: first, last. Equal steps (Ho et al. 2020, sec. 4). */
static void linear(double *beta, df_int T, const double *end) {
  for (df_int t = 1; t <= T; t++) beta[t - 1] = end[0] + place(t, T) * (end[1] - end[0]);
}

/* Parameters: first, last. Equal steps of sqrt(beta) (Rombach et al. 2022). */
static void scaled_linear(double *beta, df_int T, const double *end) {
  double first = sqrt(end[0]), last = sqrt(end[1]);
  for (df_int t = 1; t <= T; t++) {
    double root = first + place(t, T) * (last - first);
    beta[t - 1] = root * root;
  }
}

/* Parameters: first, last. A logistic curve over [-6, 6] (Xu et al. 2022, GeoDiff). */
static void sigmoid_beta(double *beta, df_int T, const double *end) {
  for (df_int t = 1; t <= T; t++)
    beta[t - 1] = end[0] + (end[1] - end[0]) / (1 + exp(6 - 12 * place(t, T)));
}

/* Parameter: offset o. alpha_bar(u) ~ cos^2((u + o)/(1 + o) pi/2) (Nichol & Dhariwal
** 2021, eq. 17). The code uses
**   1 - cos^2 x / cos^2 y = sin(x + y) sin(x - y) / cos^2 y. */
static void cosine(double *beta, df_int T, const double *offset) {
  double step = half_pi / ((1 + *offset) * (double)T);
  for (df_int t = 1; t < T; t++) {
    double y = ((double)(t - 1) + *offset * (double)T) * step, x = y + step;
    beta[t - 1] = sin(x + y) * sin(step) / (cos(y) * cos(y));
  }
  beta[T - 1] = 1;
}

/* Parameters: start, end, tau. alpha_bar is a logistic curve S over [start, end] / tau,
** scaled to fall from 1 to 0 (Jabri et al. 2023, alg. 1). beta is
**   1 - (S(end) - S(x)) / (S(end) - S(y)),
**   S(x) - S(y) = sinh((x - y)/2) / (2 cosh(x/2) cosh(y/2)). */
static void sigmoid(double *beta, df_int T, const double *number) {
  double from = number[0] / number[2], to = number[1] / number[2];
  double step = (to - from) / (double)T, scale = sinh(step / 2) * cosh(to / 2);
  for (df_int t = 1; t < T; t++) {
    double y = from + (double)(t - 1) * step, x = y + step;
    beta[t - 1] = scale / (cosh(x / 2) * sinh((to - y) / 2));
  }
  beta[T - 1] = 1;
}

/* Parameter: beta. It is the same at every step (code of Ho et al. 2020). */
static void constant(double *beta, df_int T, const double *number) {
  for (df_int t = 1; t <= T; t++) beta[t - 1] = *number;
}

/* Parameters: first, last, fraction. Equal steps over the first fraction of T, then
** constant (code of Ho et al. 2020). */
static void warmup(double *beta, df_int T, const double *number) {
  df_int rising = (df_int)(number[2] * (double)T);
  linear(beta, rising, number);
  for (df_int t = rising + 1; t <= T; t++) beta[t - 1] = number[1];
}

static const df_named named[] = {
  { "linear", 2, linear },
  { "scaled_linear", 2, scaled_linear },
  { "sigmoid_beta", 2, sigmoid_beta },
  { "cosine", 1, cosine },
  { "sigmoid", 3, sigmoid },
  { "constant", 1, constant },
  { "warmup", 3, warmup },
};

const df_named *df_named_find(const char *name) {
  for (size_t i = 0; i < sizeof named / sizeof *named; i++)
    if (strcmp(name, named[i].name) == 0) return &named[i];
  return NULL;
}
