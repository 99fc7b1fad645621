/* The process for Lua: noising, posteriors and conversions. Numbers are computed in
** double. Tensors take one mix each, with coefficients computed in double. The process
** itself is a Lua table; this file needs only its schedule. */
#include "binding/lprocess.h"

#include <math.h>

#include "kernels/kernels.h"
#include "process/convert.h"
#include "process/noising.h"
#include "process/posterior.h"

/* One mix: coefficients of up to two arguments, and of noise. It is stored at
** DFL_PLAN. */
typedef struct plan {
  const char *name, *of[2]; /* names in messages: the method, its terms */
  int terms, arg[2];        /* stack indices of numbers or tensors */
  double *c[2];
  df_int n;            /* number of coefficients of each term */
  const double *noise; /* coefficients of fresh noise, stored in `eps`; NULL: none */
  df_random key;
  uint32_t *step; /* NULL, or one per sample, for q_step with a seed */
  int eps;        /* stack index of the box of eps */
} plan;

static const dfl_levels *begin(lua_State *L, int t_arg, int s_arg,
                               dfl_default otherwise) {
  lua_settop(L, DFL_ARGS);
  if (lua_istable(L, 1)) lua_getfield(L, 1, "schedule");
  else lua_pushnil(L);
  if (!luaL_testudata(L, DFL_SCHEDULE, DFL_SCHEDULE_BOX))
    luaL_argerror(L, 1, "a process expected: call with a colon, as in p:q_sample(x0, t)");
  return dfl_levels_of(L, t_arg, 1, s_arg, otherwise);
}

/* Raises unless each argument from `first` to `last` is a number or a tensor of
** floats. */
static void check_values(lua_State *L, int first, int last) {
  for (int arg = first; arg <= last; arg++)
    if (dfl_test(L, arg)) dfl_floats(L, arg);
}

static plan *new_plan(lua_State *L, df_int n, int terms, int first, int second) {
  lua_settop(L, DFL_PLAN - 1);
  plan *p = lua_newuserdatauv(L, sizeof *p + 2 * (size_t)n * sizeof(double), 0);
  double *c = (double *)(p + 1);
  *p = (plan){ .terms = terms, .arg = { first, second }, .c = { c, c + n }, .n = n };
  return p;
}

static df_tensor *mix_plan(lua_State *L, df_tape *tape) {
  const plan *p = lua_touserdata(L, DFL_PLAN);
  df_term term[2];
  for (int i = 0; i < p->terms; i++)
    term[i] = (df_term){ dfl_tensor(L, p->arg[i]), p->c[i], p->n };
  if (!p->noise) return df_mix(tape, term, p->terms, NULL);
  df_noise noise = { p->noise, p->n, p->key, p->step, dfl_tensor(L, p->eps) };
  return df_mix(tape, term, p->terms, &noise);
}

static bool is_number(lua_State *L, int arg) { return lua_type(L, arg) == LUA_TNUMBER; }

/* Raises unless the number of t matches the number of samples. */
static void check_samples(lua_State *L, const df_tensor *x, int t_arg,
                          const dfl_levels *v) {
  df_int B = x->shape.ndim ? x->shape.size[0] : 1;
  if (v->number || v->n == B) return;
  lua_pushfstring(L, "t has %d values, but x %s has %d samples", (int)v->n,
                  df_tensor_text(x), (int)B);
  luaL_argerror(L, t_arg, lua_tostring(L, -1));
}

static void check_shapes(lua_State *L, const plan *p) {
  if (p->terms < 2) return;
  const df_tensor *a = dfl_tensor(L, p->arg[0]), *b = dfl_tensor(L, p->arg[1]);
  if (!df_shape_equal(&a->shape, &b->shape))
    luaL_error(L, "%s: %s is %s, but %s is %s", p->name, p->of[1], df_tensor_text(b),
               p->of[0], df_tensor_text(a));
}

/* Runs the plan and leaves its result in `slot`. */
static void run_plan(lua_State *L, const dfl_levels *v, int t_arg, int slot) {
  const plan *p = lua_touserdata(L, DFL_PLAN);
  if (is_number(L, p->arg[0])) {
    double y = 0;
    if (!v->number) luaL_argerror(L, t_arg, "t must be one number, since x is a number");
    for (int i = 0; i < p->terms; i++) y += p->c[i][0] * luaL_checknumber(L, p->arg[i]);
    lua_pushnumber(L, y);
  } else {
    check_samples(L, dfl_tensor(L, p->arg[0]), t_arg, v);
    check_shapes(L, p);
    dfl_run(L, mix_plan);
  }
  lua_replace(L, slot);
}

static void run_column(lua_State *L, const dfl_levels *v, int slot) {
  dfl_push_column(L, v->number);
  lua_replace(L, slot);
}

/* Returns the last n argument slots, which hold the results. */
static int results(lua_State *L, int n) {
  lua_settop(L, DFL_ARGS);
  return n;
}

/* ==== q_sample, q_step, q_moments =================================================== */

static double one_normal(const df_random *key) {
  df_real y;
  df_kernel()->normal(&y, 0, 1, key);
  return (double)y;
}

static df_tensor *like_x(lua_State *L, df_tape *tape) {
  return df_result(tape, &dfl_tensor(L, 2)->shape);
}

/* The key of fresh noise: from the seed in the options at 4, or the next key of this
** state. With a seed and `at` (not NULL), the noise of a sample depends on its t. */
static void set_key(lua_State *L, plan *p, const double *at) {
  if (!lua_istable(L, 4) || lua_getfield(L, 4, "seed") == LUA_TNIL) {
    p->key = df_tape_draw(dfl_tape(L), DF_STREAM_TRAIN);
    return;
  }
  if (!lua_isinteger(L, -1)) luaL_argerror(L, 4, "option 'seed': an integer expected");
  p->key = (df_random){ (uint64_t)lua_tointeger(L, -1), DF_STREAM_NOISE, 0, 0 };
  if (!at) return;
  p->key.step = (uint32_t)at[0];
  if (p->n == 1) return;
  p->step = lua_newuserdatauv(L, (size_t)p->n * sizeof *p->step, 0);
  lua_replace(L, 4); /* the seed has been read */
  for (df_int i = 0; i < p->n; i++) p->step[i] = (uint32_t)at[i];
}

/* Puts eps in slot 5: the user's value, a drawn number, or a box that the mix fills. */
static void place_eps(lua_State *L, plan *p, const double *at) {
  if (is_number(L, 4) || dfl_test(L, 4)) {
    lua_pushvalue(L, 4);
  } else if (set_key(L, p, at), is_number(L, 2)) {
    lua_pushnumber(L, one_normal(&p->key));
  } else {
    dfl_run(L, like_x);
    p->terms = 1, p->noise = p->c[1], p->eps = 5;
  }
  lua_replace(L, 5);
  lua_settop(L, DFL_PLAN);
}

/* x at 2, t at 3; eps, options or nothing at 4; the levels have been read; `at` is as in
** set_key. -> xt, eps */
static int sample(lua_State *L, const dfl_levels *v, const double *at) {
  plan *p = new_plan(L, v->n, 2, 2, 5);
  for (df_int i = 0; i < v->n; i++) {
    df_transition q = df_transition_between(v->t[i], v->s[i]);
    p->c[0][i] = q.factor, p->c[1][i] = sqrt(q.variance);
  }
  p->name = at ? "q_step" : "q_sample", p->of[0] = "x", p->of[1] = "eps";
  place_eps(L, p, at);
  run_plan(L, v, 3, 4);
  return results(L, 2);
}

/* Checks that argument 4 is eps, a table of options, or absent. */
static void check_noise(lua_State *L, const char *const *options) {
  lua_settop(L, 4);
  if (lua_istable(L, 4)) dfl_fields(L, 4, options);
  else if (!lua_isnil(L, 4) && !is_number(L, 4)) dfl_tensor(L, 4);
  check_values(L, 2, 2);
  check_values(L, 4, 4);
}

/*** Process:q_sample
** Draws x_t given x_0, in closed form: q(x_t | x_s) = N((a_t/a_s) x_s, s_t^2 -
** (a_t/a_s)^2 s_s^2). With s = 0 this is Ho et al. 2020, eq. 4. With a seed, sample k has
** the same noise in any batch and at any t.
** @param x number|diffusion.tensor {B, ...}: x_0, or x_s with from = s
** @param t number|number[]|diffusion.tensor in 1..T, one or B
** @param eps? number|diffusion.tensor|diffusion.q_sample_options standard normal noise,
**   or options of its draw
** @option seed integer (follows d.manual_seed) seed of the noise
** @option from number|number[]|diffusion.tensor (0; >= 0) level s of x
** @return number|diffusion.tensor xt
** @return number|diffusion.tensor eps */
static int l_q_sample(lua_State *L) {
  static const char *const options[] = { "seed", "from", NULL };
  check_noise(L, options);
  if (lua_istable(L, 4)) lua_getfield(L, 4, "from");
  const dfl_levels *v = begin(L, 3, 5, DFL_S_CLEAN);
  return sample(L, v, NULL);
}

/*** Process:q_step
** Draws x_t given x_{t-1}: one step of the chain (Ho et al. 2020, eq. 2).
** @param x number|diffusion.tensor x_{t-1}
** @param t number|number[]|diffusion.tensor in 1..T
** @param eps? number|diffusion.tensor|diffusion.q_step_options standard normal noise, or
**   options of its draw
** @option seed integer (follows d.manual_seed) seed of the noise; each t has its own
** @return number|diffusion.tensor xt
** @return number|diffusion.tensor eps */
static int l_q_step(lua_State *L) {
  static const char *const options[] = { "seed", NULL };
  check_noise(L, options);
  const dfl_levels *v = begin(L, 3, 5, DFL_S_PREVIOUS);
  return sample(L, v, v->at);
}

static double factor_of(df_transition q) { return q.factor; }
static double fresh_of(df_transition q) { return q.variance; }

static void moment_column(lua_State *L, const dfl_levels *v, double (*of)(df_transition),
                          double x, int slot) {
  double *y = dfl_column(L, &v->shape);
  for (df_int i = 0; i < v->n; i++)
    y[i] = x * of(df_transition_between(v->t[i], v->s[i]));
  run_column(L, v, slot);
}

/*** Process:q_moments
** Mean and variance of q(x_t | x_s = x).
** @param x number|diffusion.tensor
** @param t number|number[]|diffusion.tensor in 1..T
** @param s? number|number[]|diffusion.tensor 0 if not given
** @return number|diffusion.tensor mean
** @return number|diffusion.tensor variance a number where t is, else {B}, or of the shape
**   of the tensor t */
static int l_q_moments(lua_State *L) {
  const dfl_levels *v = begin(L, 3, 4, DFL_S_CLEAN);
  check_values(L, 2, 2);
  if (is_number(L, 2)) {
    moment_column(L, v, factor_of, lua_tonumber(L, 2), 4);
  } else {
    plan *p = new_plan(L, v->n, 1, 2, 0);
    for (df_int i = 0; i < v->n; i++)
      p->c[0][i] = df_transition_between(v->t[i], v->s[i]).factor;
    run_plan(L, v, 3, 4);
  }
  moment_column(L, v, fresh_of, 1, 5);
  return results(L, 2);
}

/* ==== the posterior ================================================================= */

static double c0_of(df_posterior q) { return q.c0; }
static double ct_of(df_posterior q) { return q.ct; }
static double variance_of(df_posterior q) { return q.variance; }

static void posterior_column(lua_State *L, const dfl_levels *v,
                             double (*of)(df_posterior), int slot) {
  double *y = dfl_column(L, &v->shape);
  for (df_int i = 0; i < v->n; i++) y[i] = of(df_posterior_between(v->t[i], v->s[i]));
  run_column(L, v, slot);
}

/*** Process:posterior
** Mean and variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 6 and 7, for any s < t).
** @param x0 number|diffusion.tensor
** @param xt number|diffusion.tensor
** @param t number|number[]|diffusion.tensor in 1..T
** @param s? number|number[]|diffusion.tensor default t - 1
** @return number|diffusion.tensor mean
** @return number|diffusion.tensor variance a number where t is, else {B}, or of the shape
**   of the tensor t */
static int l_posterior(lua_State *L) {
  const dfl_levels *v = begin(L, 4, 5, DFL_S_PREVIOUS);
  check_values(L, 2, 3);
  plan *p = new_plan(L, v->n, 2, 2, 3);
  for (df_int i = 0; i < v->n; i++) {
    df_posterior q = df_posterior_between(v->t[i], v->s[i]);
    p->c[0][i] = q.c0, p->c[1][i] = q.ct;
  }
  p->name = "posterior", p->of[0] = "x0", p->of[1] = "xt";
  run_plan(L, v, 4, 4);
  posterior_column(L, v, variance_of, 5);
  return results(L, 2);
}

/*** Process:posterior_coefficients
** The coefficients of the posterior q(x_s | x_t, x_0) = N(c0 x_0 + ct x_t, variance).
** @param t number|number[]|diffusion.tensor
** @param s? number|number[]|diffusion.tensor default t - 1
** @return number|diffusion.tensor c0
** @return number|diffusion.tensor ct
** @return number|diffusion.tensor variance */
static int l_posterior_coefficients(lua_State *L) {
  const dfl_levels *v = begin(L, 2, 3, DFL_S_PREVIOUS);
  posterior_column(L, v, c0_of, 3);
  posterior_column(L, v, ct_of, 4);
  posterior_column(L, v, variance_of, 5);
  return results(L, 3);
}

/*** Process:posterior_log_variance
** Logarithm of the posterior variance. At t = 1 the variance is 0, and the result is that
** of t = 2, as in the code of Ho et al. 2020.
** @param t number|number[]|diffusion.tensor
** @param s? number|number[]|diffusion.tensor default t - 1
** @return number|diffusion.tensor */
static int l_posterior_log_variance(lua_State *L) {
  const dfl_levels *v = begin(L, 2, 3, DFL_S_PREVIOUS);
  const df_schedule *schedule = dfl_schedule(L, DFL_SCHEDULE);
  double *y = dfl_column(L, &v->shape);
  for (df_int i = 0; i < v->n; i++) {
    df_posterior q = df_posterior_between(v->t[i], v->s[i]);
    if (v->at[i] == 1 && schedule->T > 1)
      q = df_posterior_between(schedule->level[2], schedule->level[1]);
    if (q.variance == 0) {
      df_fail(DF_MISUSE,
              "posterior_log_variance: the variance of q(x_0 | x_t, x_0) is 0, and only "
              "t = 1 has a substitute, not t = %.10g",
              v->at[i]);
      return dfl_raise(L);
    }
    y[i] = log(q.variance);
  }
  run_column(L, v, 5);
  return results(L, 1);
}

/* ==== targets and conversion ======================================================== */

/* Standard deviation of the data, for edm: a field of the process, default 0.5. */
static double sigma_data(lua_State *L) {
  lua_getfield(L, 1, "sigma_data");
  double d = luaL_optnumber(L, -1, 0.5);
  lua_pop(L, 1);
  return d;
}

/* The prediction target of the process. */
static df_target predicted(lua_State *L) {
  df_target target = DF_TARGETS;
  if (lua_getfield(L, 1, "predict") != LUA_TSTRING
      || !df_target_find(lua_tostring(L, -1), &target))
    luaL_argerror(L, 1, "a process of d.process expected, which has a prediction target");
  lua_pop(L, 1);
  return target;
}

/*** Process:target
** The training target of the network: the quantity that `predict` names. It is computed
** from x_0 and eps, so it is also defined at zero terminal SNR.
** @param x0 number|diffusion.tensor
** @param eps number|diffusion.tensor the noise in x_t, as q_sample returns it
** @param t number|number[]|diffusion.tensor in 1..T, one or B
** @return number|diffusion.tensor target */
static int l_target(lua_State *L) {
  const dfl_levels *v = begin(L, 4, DFL_NO_S, DFL_S_CLEAN);
  check_values(L, 2, 3);
  df_target target = predicted(L);
  if (target == DF_EPS) return lua_pushvalue(L, 3), 1;
  double d = sigma_data(L);
  plan *p = new_plan(L, v->n, 2, 2, 3);
  for (df_int i = 0; i < v->n; i++) {
    df_line c = df_target_line(v->t[i], target, d);
    p->c[0][i] = c.x0, p->c[1][i] = c.eps;
  }
  p->name = "target", p->of[0] = "x0", p->of[1] = "eps";
  run_plan(L, v, 4, 5);
  return results(L, 1);
}

static df_target target_of(lua_State *L, int arg) {
  df_target target;
  if (lua_type(L, arg) != LUA_TSTRING || !df_target_find(lua_tostring(L, arg), &target))
    luaL_error(L, "convert: from and to must be eps, x0, v, score, flow or edm, got %s",
               dfl_briefly(L, arg));
  return target;
}

static void fill_conversion(lua_State *L, plan *p, const dfl_levels *v, df_target from,
                            df_target to) {
  double d = sigma_data(L);
  for (df_int i = 0; i < v->n; i++) {
    df_affine c;
    if (df_convert_at(v->t[i], from, to, d, &c)) {
      df_error_prefix("convert at t = %.10g: ", v->at[i]);
      dfl_raise(L);
    }
    p->c[0][i] = c.value, p->c[1][i] = c.xt;
  }
}

/*** Process:convert
** Converts a prediction from one target to another. It is an error if x_t has no signal
** and the value does not depend on x_0 (eps or score at zero terminal SNR). The targets
** are x0, eps, v = a eps - s x0 (Salimans & Ho 2022), score = -eps/s, flow = eps - x0,
** and edm, F of Karras et al. 2022, eq. 7.
** @param value number|diffusion.tensor
** @param o diffusion.convert_options
** @option from "eps"|"x0"|"v"|"score"|"flow"|"edm" (required) the target of `value`
** @option to "eps"|"x0"|"v"|"score"|"flow"|"edm" (required) the target of the result
** @option xt number|diffusion.tensor (required) the noisy x_t
** @option t number|number[]|diffusion.tensor (required) the level
** @return number|diffusion.tensor */
static int l_convert(lua_State *L) {
  static const char *const options[] = { "from", "to", "xt", "t", NULL };
  luaL_checktype(L, 3, LUA_TTABLE);
  dfl_fields(L, 3, options);
  lua_settop(L, 3);
  lua_getfield(L, 3, "xt");
  lua_getfield(L, 3, "t");
  lua_getfield(L, 3, "from");
  lua_getfield(L, 3, "to");
  df_target from = target_of(L, 6), to = target_of(L, 7);
  check_values(L, 2, 2);
  check_values(L, 4, 4);
  if (from == to) return lua_pushvalue(L, 2), 1;
  luaL_argcheck(L, !lua_isnil(L, 4), 3, "option 'xt' is missing");
  luaL_argcheck(L, !lua_isnil(L, 5), 3, "option 't' is missing");
  const dfl_levels *v = begin(L, 5, DFL_NO_S, DFL_S_CLEAN);
  plan *p = new_plan(L, v->n, 2, 2, 4);
  fill_conversion(L, p, v, from, to);
  p->name = "convert", p->of[0] = "the value", p->of[1] = "xt";
  run_plan(L, v, 5, 5);
  return results(L, 1);
}

static const luaL_Reg methods[] = {
  { "q_sample", l_q_sample },
  { "q_step", l_q_step },
  { "q_moments", l_q_moments },
  { "posterior", l_posterior },
  { "posterior_coefficients", l_posterior_coefficients },
  { "posterior_log_variance", l_posterior_log_variance },
  { "target", l_target },
  { "convert", l_convert },
  { NULL, NULL },
};

void dfl_open_process(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  lua_newtable(L);
  dfl_set_functions(L, methods);
  lua_setfield(L, -2, "process_methods"); /* process.lua adds more */
  lua_pop(L, 1);
}
