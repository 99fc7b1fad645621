/* Prediction targets of a network. Each target is P x_0 + Q eps, and P and Q depend on
** the level. Since x_t = a x_0 + s eps, any target is a linear combination of any other
** and x_t. */
#ifndef df_convert_h
#define df_convert_h

#include "base/error.h"
#include "process/levels.h"

typedef enum df_target {
  DF_EPS,   /* the noise */
  DF_X0,    /* the data */
  DF_V,     /* a eps - s x_0 (Salimans & Ho 2022) */
  DF_SCORE, /* -eps / s, the gradient of ln q(x_t | x_0) */
  DF_FLOW,  /* eps - x_0, the velocity of a straight path (Liu et al. 2023, eq. 1) */
  DF_EDM,   /* F of Karras et al. 2022, eq. 7: x_0 = c_skip x_t/a + c_out F */
  DF_TARGETS
} df_target;

typedef struct df_affine {
  double value, xt; /* to = value * from + xt * x_t */
} df_affine;

typedef struct df_line {
  double x0, eps; /* x0 * x_0 + eps * eps */
} df_line;

/* The coefficients P and Q. sigma_data is the standard deviation of the data; only edm
** uses it. */
df_line df_target_line(df_level t, df_target target, double sigma_data);

bool df_target_find(const char *name, df_target *target);

/* DF_MISUSE if `from` does not determine `to`: with a = 0, eps says nothing about x_0. */
df_code df_convert_at(df_level t, df_target from, df_target to, double sigma_data,
                      df_affine *out);

#endif
