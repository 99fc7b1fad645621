/* Noise schedules. A schedule has two columns over 0..T: ln a_t and ln s_t of x_t = a_t
** x_0 + s_t eps, with a_0 = 1 and s_0 = 0. A schedule never changes. beta, alpha_bar,
** sigma and SNR are derived from the columns. */
#ifndef df_schedule_h
#define df_schedule_h

#include "base/error.h"
#include "process/levels.h"

typedef struct df_schedule {
  df_int T;
  bool vp;         /* a^2 + s^2 = 1 at every level */
  bool limited;    /* max_beta changed the values of the source */
  df_level *level; /* T + 1 */
} df_schedule;

/* The kind of values that a list contains. */
typedef enum df_source {
  DF_FROM_BETA,      /* alpha_bar_t = prod (1 - beta) */
  DF_FROM_ALPHA_BAR, /* a^2, with s^2 = 1 - a^2 */
  DF_FROM_LOG_SNR,   /* ln(a^2/s^2) on a^2 + s^2 = 1 */
  DF_FROM_SIGMA_VP,  /* s/a on a^2 + s^2 = 1 */
  DF_FROM_SIGMA_VE   /* s, with a = 1 */
} df_source;

/* Creates a schedule from T values, for t = 1..T. If a^2 + s^2 = 1, betas above max_beta
** are reduced to max_beta (1: no limit), and later alpha_bar values change accordingly.
** On failure returns NULL. The error names the first step with a value out of range, or
** the first step at which the noise does not grow. */
df_schedule *df_schedule_from(df_source source, const double *value, df_int T,
                              double max_beta);
/* The level of one such value, for any source but DF_FROM_BETA, whose values depend on
** earlier ones. DF_MISUSE if it is out of range. */
df_code df_source_level(df_source source, double value, df_level *out);
bool df_source_find(const char *name, df_source *source); /* "beta", "sigma_ve", ... */

/* Creates a schedule from the levels t = 1..T of another one. Returns NULL with an error
** if they are not a valid schedule. */
df_schedule *df_schedule_from_levels(const df_level *level, df_int T, bool vp);
void df_schedule_free(df_schedule *s); /* NULL is fine */

/* The level at t in 0..T. Between integers >= 1 lambda is interpolated linearly. Any
** other t gives DF_MISUSE with the range. */
df_code df_schedule_level(const df_schedule *s, double t, df_level *out);

/* Finds t in 0..T with s/a = sigma; DF_MISUSE if there is none. If level T has no signal,
** no t between T - 1 and T has a sigma. With `open`, T - 1/2 is returned in that case. */
df_code df_schedule_find(const df_schedule *s, double sigma, bool open, double *t);

/* Zero terminal SNR (Lin et al. 2024, alg. 1): sqrt(alpha_bar) is shifted and scaled so
** that its first value stays and its last is 0. Returns NULL unless a^2 + s^2 = 1. */
df_schedule *df_schedule_zero_terminal(const df_schedule *s);

/* Standard deviation of x_T at the start of sampling: 1 if a^2 + s^2 = 1, else s_T. */
double df_schedule_prior_std(const df_schedule *s);

/* KL(q(x_T | x_0 = x) || N(0, prior_std^2)) of one dimension, in nats. */
double df_schedule_prior_kl(const df_schedule *s, double x);

#endif
