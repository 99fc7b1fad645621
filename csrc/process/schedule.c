/* Creates, checks and queries schedules. Values are first checked in the units of the
** source. The levels are then checked again, since values may be too close for
** doubles. */
#include "process/schedule.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static df_schedule *schedule_new(df_int T, bool vp) {
  df_schedule *s = df_alloc(sizeof *s + (size_t)(T + 1) * sizeof *s->level);
  if (!s) return NULL;
  *s = (df_schedule){ .T = T, .vp = vp, .level = (df_level *)(s + 1) };
  s->level[0] = df_level_clean();
  return s;
}

void df_schedule_free(df_schedule *s) { df_free(s); }

/* -- sources ------------------------------------------------------------------------- */

static df_level from_beta(df_level last, double beta) {
  return df_level_alpha_bar(2 * last.ln_a + log1p(-beta));
}
static df_level from_alpha_bar(df_level last, double alpha_bar) {
  (void)last;
  return df_level_alpha_bar(log(alpha_bar));
}
static df_level from_log_snr(df_level last, double log_snr) {
  (void)last;
  return df_level_vp(log_snr / 2);
}
static df_level from_sigma_vp(df_level last, double sigma) {
  (void)last;
  return df_level_vp(-log(sigma));
}
static df_level from_sigma_ve(df_level last, double sigma) {
  (void)last;
  return df_level_ve(sigma);
}

/* Values must lie strictly between low and high, or equal `end` at T. With t they rise
** (1), fall (-1), or do either (0). */
typedef struct source {
  const char *key, *name; /* key among the sources; name for the user */
  bool vp;
  int direction;
  double low, high, end;
  df_level (*level)(df_level last, double value);
} source;

static const source sources[] = {
  [DF_FROM_BETA] = { "beta", "beta", true, 0, 0, 1, 1, from_beta },
  [DF_FROM_ALPHA_BAR] = { "alpha_bar", "alpha_bar", true, -1, 0, 1, 0, from_alpha_bar },
  [DF_FROM_LOG_SNR] = { "log_snr", "log_snr", true, -1, -INFINITY, INFINITY, -INFINITY,
                        from_log_snr },
  [DF_FROM_SIGMA_VP] = { "sigma_vp", "sigma", true, 1, 0, INFINITY, INFINITY,
                         from_sigma_vp },
  [DF_FROM_SIGMA_VE] = { "sigma_ve", "sigma", false, 1, 0, INFINITY, 0, from_sigma_ve },
};

bool df_source_find(const char *name, df_source *found) {
  for (int i = 0; i < (int)(sizeof sources / sizeof *sources); i++) {
    if (strcmp(name, sources[i].key) != 0) continue;
    *found = (df_source)i;
    return true;
  }
  return false;
}

df_code df_source_level(df_source kind, double value, df_level *out) {
  const source *from = &sources[kind];
  if (!(value > from->low && value < from->high))
    return df_fail(DF_MISUSE, "%s must be in (%g, %g), got %.10g", from->name, from->low,
                   from->high, value);
  *out = from->level(df_level_clean(), value);
  return DF_OK;
}

/* Values above `most` are replaced by it. A `most` below 1 is the user's limit, and then
** an infinite value is allowed. */
static df_code check(const source *from, const double *value, df_int t, df_int T,
                     double most) {
  double x = most < 1 && value[t - 1] > most ? most : value[t - 1];
  bool inside = x > from->low && x < from->high;
  if (!inside && !(x == from->end && t == T))
    return df_fail(DF_MISUSE,
                   "%s must be in (%g, %g), or %g at t = T = %td, but %s[%td] = %.10g",
                   from->name, from->low, from->high, from->end, T, from->name, t, x);
  if (t > 1 && from->direction && !(from->direction * (x - value[t - 2]) > 0))
    return df_fail(DF_MISUSE,
                   "%s must %s with t, but %s[%td] = %.10g comes after %s[%td] = %.10g",
                   from->name, from->direction > 0 ? "rise" : "fall", from->name, t, x,
                   from->name, t - 1, value[t - 2]);
  return DF_OK;
}

static void limit_beta(df_schedule *s, double max_beta) {
  double least = 0.5 * log1p(-max_beta), said = 0; /* said: unlimited ln a at t - 1 */
  for (df_int t = 1; t <= s->T; t++) {
    double step = s->level[t].ln_a - said;
    said = s->level[t].ln_a;
    s->limited = s->limited || step < least;
    if (s->limited)
      s->level[t] = df_level_alpha_bar(2 * (s->level[t - 1].ln_a + fmax(step, least)));
  }
}

static df_code check_growth(const df_schedule *s) {
  for (df_int t = 1; t <= s->T; t++)
    if (!(df_level_lambda(s->level[t]) < df_level_lambda(s->level[t - 1])))
      return df_fail(DF_MISUSE,
                     "the noise must grow at every step, but log_snr[%td] = %.17g "
                     "comes after log_snr[%td] = %.17g; fewer or larger steps are needed",
                     t, df_level_log_snr(s->level[t]), t - 1,
                     df_level_log_snr(s->level[t - 1]));
  return DF_OK;
}

static df_schedule *finished(df_schedule *s) {
  if (check_growth(s) == DF_OK) return s;
  df_schedule_free(s);
  return NULL;
}

df_schedule *df_schedule_from(df_source kind, const double *value, df_int T,
                              double max_beta) {
  const source *from = &sources[kind];
  double most = kind == DF_FROM_BETA ? max_beta : INFINITY;
  for (df_int t = 1; t <= T; t++)
    if (check(from, value, t, T, most)) return NULL;
  df_schedule *s = schedule_new(T, from->vp);
  if (!s) return NULL;
  for (df_int t = 1; t <= T; t++)
    s->level[t] = from->level(s->level[t - 1], fmin(value[t - 1], most));
  if (max_beta < 1 && from->vp && kind != DF_FROM_BETA) limit_beta(s, max_beta);
  return finished(s);
}

/* Only the last level may have no signal. */
static df_code check_level(df_level l, df_int t, df_int T, bool vp) {
  bool a = l.ln_a < INFINITY && (l.ln_a > -INFINITY || (t == T && l.ln_a == -INFINITY));
  if (!a || !isfinite(l.ln_s))
    return df_fail(DF_MISUSE, "ln a = %.10g and ln s = %.10g at t = %td of %td", l.ln_a,
                   l.ln_s, t, T);
  double circle = df_level_signal_variance(l) + exp(2 * l.ln_s);
  if (vp && !(fabs(circle - 1) < 1e-6))
    return df_fail(DF_MISUSE, "a^2 + s^2 must be 1, got %.10g at t = %td", circle, t);
  return DF_OK;
}

df_schedule *df_schedule_from_levels(const df_level *level, df_int T, bool vp) {
  for (df_int t = 1; t <= T; t++)
    if (check_level(level[t - 1], t, T, vp) != DF_OK) return NULL;
  df_schedule *s = schedule_new(T, vp);
  if (!s) return NULL;
  memcpy(s->level + 1, level, (size_t)T * sizeof *level);
  return finished(s);
}

df_schedule *df_schedule_zero_terminal(const df_schedule *s) {
  if (!s->vp)
    return df_fail_null(DF_MISUSE, "rescale_zero_terminal_snr is for schedules with "
                                   "a^2 + s^2 = 1");
  if (s->T < 2)
    return df_fail_null(DF_MISUSE, "rescale_zero_terminal_snr needs T >= 2, got T = 1");
  df_schedule *out = schedule_new(s->T, true);
  if (!out) return NULL;
  double first = s->level[1].ln_a, whole = expm1(s->level[s->T].ln_a - first);
  for (df_int t = 1; t <= s->T; t++) {
    double gone = expm1(s->level[t].ln_a - first) / whole; /* 0 at 1, 1 at T */
    out->level[t] = df_level_alpha_bar(2 * (first + log1p(-gone)));
  }
  return out;
}

/* -- queries ------------------------------------------------------------------------- */

df_code df_schedule_level(const df_schedule *s, double t, df_level *out) {
  double whole = floor(t);
  if (!(t >= 0 && t <= (double)s->T))
    return df_fail(DF_MISUSE, "t must be in 0..%td, got %.10g", s->T, t);
  df_int i = (df_int)whole;
  *out = s->level[i];
  if (t == whole) return DF_OK;
  if (i == 0)
    return df_fail(DF_MISUSE,
                   "t = %.10g lies between level 0, which has no noise, and 1; real "
                   "levels start at 1 in this schedule",
                   t);
  if (isinf(s->level[i + 1].ln_a))
    return df_fail(DF_MISUSE,
                   "t = %.10g lies between %td and %td, which has no signal; the "
                   "last real level is %td",
                   t, i, i + 1, i);
  *out = df_level_between(s->level[i], s->level[i + 1], t - whole, s->vp);
  return DF_OK;
}

/* The last t with sigma_t <= sigma. sigma must be between the first and the last
** level. */
static df_int bracket(const df_schedule *s, double lambda) {
  df_int low = 1, high = s->T;
  while (high - low > 1) {
    df_int middle = low + (high - low) / 2;
    if (df_level_lambda(s->level[middle]) >= lambda) low = middle;
    else high = middle;
  }
  return df_level_lambda(s->level[high]) >= lambda ? high : low;
}

df_code df_schedule_find(const df_schedule *s, double sigma, bool open, double *t) {
  double lambda = -log(sigma);
  double first = df_level_lambda(s->level[1]), last = df_level_lambda(s->level[s->T]);
  *t = 0;
  if (sigma == 0) return DF_OK;
  if (!(lambda <= first && lambda >= last))
    return df_fail(DF_MISUSE,
                   "sigma must be 0 or in [%.10g, %.10g], the levels 1..%td, got "
                   "%.10g",
                   exp(-first), exp(-last), s->T, sigma);
  df_int i = bracket(s, lambda);
  *t = (double)i;
  double here = df_level_lambda(s->level[i]);
  if (here == lambda || i == s->T) return DF_OK;
  double next = df_level_lambda(s->level[i + 1]);
  if (isinf(next) && open) *t += 0.5;
  else if (isinf(next))
    return df_fail(DF_MISUSE,
                   "sigma = %.10g lies beyond level %td, and level %td has no signal",
                   sigma, i, i + 1);
  else *t += (here - lambda) / (here - next);
  return DF_OK;
}

double df_schedule_prior_std(const df_schedule *s) {
  return s->vp ? 1 : df_level_noise(s->level[s->T]);
}

double df_schedule_prior_kl(const df_schedule *s, double x) {
  df_level last = s->level[s->T];
  double ln_prior = s->vp ? 0 : last.ln_s;
  double mean = exp(last.ln_a - ln_prior) * x, u = 2 * (last.ln_s - ln_prior);
  return 0.5 * (mean * mean + (expm1(u) - u));
}
