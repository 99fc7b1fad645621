/* The betas of schedules that papers name. Each fills beta[0..T-1], of t = 1..T; whether
** they lie in (0, 1] is checked when a schedule is made of them. */
#ifndef df_named_h
#define df_named_h

#include "base/base.h"

/* Ho et al. 2020, sec. 4: equal steps from first to last. */
void df_beta_linear(double *beta, df_int T, double first, double last);

/* Rombach et al. 2022: sqrt(beta) in equal steps. */
void df_beta_scaled_linear(double *beta, df_int T, double first, double last);

/* Xu et al. 2022 (GeoDiff): a logistic curve over [-6, 6] between the ends. */
void df_beta_sigmoid(double *beta, df_int T, double first, double last);

/* Nichol & Dhariwal 2021, eq. 17: alpha_bar(u) ~ cos^2((u + offset)/(1 + offset) pi/2). */
void df_beta_cosine(double *beta, df_int T, double offset);

/* Jabri et al. 2023, alg. 1: alpha_bar(u) is a logistic curve in u over
** [start, end] / tau, stretched to fall from 1 to 0. */
void df_beta_sigmoid_alpha_bar(double *beta, df_int T, double start, double end,
                               double tau);

#endif
