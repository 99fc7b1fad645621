/* Noise schedules: two columns over 0..T, ln a_t and ln s_t of x_t = a_t x_0 + s_t eps, with
** a_0 = 1 and s_0 = 0. A schedule never changes; what papers call beta, alpha_bar, sigma or
** SNR is derived from the columns. */
#ifndef df_schedule_h
#define df_schedule_h

#include "base/error.h"
#include "process/levels.h"

typedef struct df_schedule {
  df_int T;
  bool vp;         /* a^2 + s^2 = 1 at every level */
  bool limited;    /* max_beta changed what the source said */
  df_level *level; /* T + 1 */
} df_schedule;

/* How a list of numbers states a schedule. */
typedef enum df_source {
  DF_FROM_BETA,      /* alpha_bar_t = prod (1 - beta) */
  DF_FROM_ALPHA_BAR, /* a^2, with s^2 = 1 - a^2 */
  DF_FROM_LOG_SNR,   /* ln(a^2/s^2) on a^2 + s^2 = 1 */
  DF_FROM_SIGMA_VP,  /* s/a on a^2 + s^2 = 1 */
  DF_FROM_SIGMA_VE   /* s, with a = 1 */
} df_source;

/* From T numbers, of t = 1..T. Where a^2 + s^2 = 1, betas above max_beta (1: none) become
** max_beta, and alpha_bar is accumulated anew from there. NULL with a sentence that names
** the first step at which a number is out of range or the noise does not grow. */
df_schedule *df_schedule_from(df_source source, const double *value, df_int T,
                              double max_beta);
/* What one such number says, by a source that has no memory (any but betas); DF_MISUSE
** where it is out of range. */
df_code df_source_level(df_source source, double value, df_level *out);
bool df_source_find(const char *name, df_source *source); /* "beta", "sigma_ve", ... */

/* From finished columns of t = 1..T, as another schedule had them. NULL with a sentence
** where they can't be one's. */
df_schedule *df_schedule_from_levels(const df_level *level, df_int T, bool vp);
void df_schedule_free(df_schedule *s); /* NULL is fine */

/* The level at t in 0..T: of the columns at integers, between integers >= 1 with lambda
** linear. DF_MISUSE, with the range, elsewhere. */
df_code df_schedule_level(const df_schedule *s, double t, df_level *out);

/* The t in 0..T at which s/a = sigma; DF_MISUSE where there is none. Between the last two
** levels there is one if level T has signal; `open`: whether or not, T - 1/2 standing for it. */
df_code df_schedule_find(const df_schedule *s, double sigma, bool open, double *t);

/* Zero terminal SNR: sqrt(alpha_bar) shifted and scaled so that it keeps its first value
** and ends in 0 (Lin et al. 2024, alg. 1). NULL where a^2 + s^2 is not 1. */
df_schedule *df_schedule_zero_terminal(const df_schedule *s);

/* Standard deviation of x_T as sampling starts from it: 1 where a^2 + s^2 = 1, else s_T. */
double df_schedule_prior_std(const df_schedule *s);

/* KL(q(x_T | x_0 = x) || N(0, prior_std^2)) of one dimension, in nats. */
double df_schedule_prior_kl(const df_schedule *s, double x);

#endif
