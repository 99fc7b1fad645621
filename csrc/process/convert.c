/* Converts any target to any other. Each target is one row, and a 2x2 system covers all
** pairs. */
#include "process/convert.h"

#include <math.h>
#include <string.h>

static df_line eps_line(double a, double s, double d) {
  (void)a, (void)s, (void)d;
  return (df_line){ 0, 1 };
}
static df_line x0_line(double a, double s, double d) {
  (void)a, (void)s, (void)d;
  return (df_line){ 1, 0 };
}
static df_line v_line(double a, double s, double d) {
  (void)d;
  return (df_line){ -s, a };
}
static df_line score_line(double a, double s, double d) {
  (void)a, (void)d;
  return (df_line){ 0, -1 / s };
}
static df_line flow_line(double a, double s, double d) {
  (void)a, (void)s, (void)d;
  return (df_line){ -1, 1 };
}
/* With sigma = s/a: c_skip = d^2 / (sigma^2 + d^2), c_out = sigma d / sqrt(sigma^2 +
** d^2), and F = (x_0 - c_skip (x_0 + sigma eps)) / c_out. This form allows a = 0. */
static df_line edm_line(double a, double s, double d) {
  double root = sqrt(s * s + d * d * a * a);
  return (df_line){ s / (d * root), -d * a / root };
}

static const struct {
  const char *name;
  df_line (*line)(double a, double s, double sigma_data);
} targets[DF_TARGETS] = {
  [DF_EPS] = { "eps", eps_line },    [DF_X0] = { "x0", x0_line },
  [DF_V] = { "v", v_line },          [DF_SCORE] = { "score", score_line },
  [DF_FLOW] = { "flow", flow_line }, [DF_EDM] = { "edm", edm_line },
};

bool df_target_find(const char *name, df_target *target) {
  for (int i = 0; i < DF_TARGETS; i++) {
    if (strcmp(name, targets[i].name) != 0) continue;
    *target = (df_target)i;
    return true;
  }
  return false;
}

df_line df_target_line(df_level t, df_target target, double sigma_data) {
  return targets[target].line(df_level_signal(t), df_level_noise(t), sigma_data);
}

df_code df_convert_at(df_level t, df_target from, df_target to, double sigma_data,
                      df_affine *out) {
  *out = (df_affine){ 1, 0 };
  if (from == to) return DF_OK;
  double a = df_level_signal(t), s = df_level_noise(t);
  df_line f = df_target_line(t, from, sigma_data);
  df_line g = df_target_line(t, to, sigma_data);
  double det = f.x0 * s - f.eps * a;
  if (det == 0)
    return df_fail(DF_MISUSE,
                   "x_t has no signal here (a = 0, SNR 0), so %s cannot give %s; "
                   "predict x0 or v",
                   targets[from].name, targets[to].name);
  out->value = (g.x0 * s - g.eps * a) / det;
  out->xt = (f.x0 * g.eps - f.eps * g.x0) / det;
  return DF_OK;
}
