/* Schedules for Lua: a box with methods. A number t gives a double, and several t give
** a tensor. A schedule may have its own Lua function of real t, which is called from
** here. */
#include <math.h>
#include <string.h>

#include "binding/lprocess.h"
#include "process/noising.h"
#include "process/posterior.h"

typedef struct box { /* user values: NAME and OWN */
  df_schedule *schedule;
  df_source source;
  bool columns; /* made from ln a and ln s, without a source */
} box;

/* OWN: f(u, t, T) for real levels; returns a value of the source, or ln a and ln s */
enum { NAME = 1, OWN = 2 };

const df_schedule *dfl_schedule(lua_State *L, int arg) {
  const box *b = luaL_checkudata(L, arg, DFL_SCHEDULE_BOX);
  return dfl_living(L, arg, b->schedule);
}

/* ==== levels ======================================================================== */

/* Calls the schedule's own function at a real t. It returns ln a and ln s, or a value of
** the source. */
static df_level own_level(lua_State *L, const box *b, double t) {
  double T = (double)b->schedule->T;
  df_level level;
  lua_pushnumber(L, t / T);
  lua_pushnumber(L, t);
  lua_pushinteger(L, b->schedule->T);
  lua_call(L, 3, b->columns ? 2 : 1);
  if (b->columns) {
    level = (df_level){ lua_tonumber(L, -2), lua_tonumber(L, -1) };
    lua_pop(L, 2);
    return level;
  }
  if (!lua_isnumber(L, -1)) {
    df_fail(DF_MISUSE, "the schedule's function returned no number at t = %.10g", t);
    dfl_raise(L);
  }
  if (df_source_level(b->source, lua_tonumber(L, -1), &level)) {
    df_error_prefix("the schedule's function at t = %.10g: ", t);
    dfl_raise(L);
  }
  lua_pop(L, 1);
  return level;
}

/* Raises the last error of the core as an error of an argument. */
static void refuse(lua_State *L, int arg, df_code code) {
  if (code) luaL_argerror(L, arg, df_error_text());
}

static df_level level_at(lua_State *L, int arg, double t) {
  const box *b = lua_touserdata(L, DFL_SCHEDULE);
  df_level level;
  if (t != floor(t)) {
    if (lua_getiuservalue(L, DFL_SCHEDULE, OWN) == LUA_TFUNCTION)
      return own_level(L, b, t);
    lua_pop(L, 1);
  }
  refuse(L, arg, df_schedule_level(b->schedule, t, &level));
  return level;
}

static void check_t(lua_State *L, int arg, double t, double least) {
  const box *b = lua_touserdata(L, DFL_SCHEDULE);
  if (t > 0 && t < 1) return; /* its own function may define real t */
  if (!(t >= least && t <= (double)b->schedule->T))
    refuse(
        L, arg,
        df_fail(DF_MISUSE, "t must be in %g..%td, got %.10g", least, b->schedule->T, t));
}

static void check_s(lua_State *L, int arg, double s, double t) {
  if (!(s >= 0 && s < t))
    refuse(L, arg,
           df_fail(DF_MISUSE,
                   "s must be in 0..t and below t = %.10g (later time first), got %.10g",
                   t, s));
}

/* Reads the numbers of an argument; dfl_doubles leaves their memory on the stack. */
static const double *numbers(lua_State *L, int arg, df_int *n) {
  if (lua_isnil(L, arg))
    luaL_argerror(L, arg, "a number, a list or a tensor expected, got nil");
  const double *x = dfl_doubles(L, arg, n);
  if (*n == 0) luaL_argerror(L, arg, "at least one number expected, got an empty list");
  return x;
}

static dfl_levels *new_levels(lua_State *L, df_int n, bool number) {
  size_t level = (size_t)n * sizeof(df_level);
  dfl_levels *out =
      lua_newuserdatauv(L, sizeof *out + 2 * level + (size_t)n * sizeof(double), 0);
  df_level *t = (df_level *)(out + 1);
  double *at = (double *)(t + 2 * n);
  *out = (dfl_levels){ .number = number, .n = n, .at = at, .t = t, .s = t + n };
  lua_replace(L, DFL_LEVELS);
  return out;
}

const dfl_levels *dfl_levels_of(lua_State *L, int t_arg, double least, int s_arg,
                                dfl_default otherwise) {
  bool given = s_arg != DFL_NO_S && !lua_isnil(L, s_arg);
  bool number =
      lua_type(L, t_arg) == LUA_TNUMBER && (!given || lua_type(L, s_arg) == LUA_TNUMBER);
  df_int n_t, n_s = 1;
  dfl_schedule(L, DFL_SCHEDULE);
  lua_settop(L, DFL_LEVELS);
  const double *t = numbers(L, t_arg, &n_t), *s = given ? numbers(L, s_arg, &n_s) : NULL;
  df_int n = df_max(n_t, n_s);
  if ((n_t != n && n_t != 1) || (n_s != n && n_s != 1))
    refuse(L, s_arg, df_fail(DF_MISUSE, "s has %td values, t has %td", n_s, n_t));
  bool by_t = n_t == n && (dfl_test(L, t_arg) || !given || n_s != n);
  dfl_levels *out = new_levels(L, n, number);
  out->shape = dfl_shape_of(L, by_t ? t_arg : s_arg, n);
  for (df_int i = 0; i < n; i++) {
    double ti = t[n_t == 1 ? 0 : i];
    double si = s ? s[n_s == 1 ? 0 : i] : otherwise == DFL_S_CLEAN ? 0 : fmax(ti - 1, 0);
    check_t(L, t_arg, ti, least);
    if (given) check_s(L, s_arg, si, ti);
    ((double *)out->at)[i] = ti;
    out->t[i] = level_at(L, t_arg, ti);
    out->s[i] =
        s_arg == DFL_NO_S ? df_level_clean() : level_at(L, given ? s_arg : t_arg, si);
  }
  lua_settop(L, DFL_LEVELS);
  return out;
}

/* ==== columns ======================================================================= */

typedef struct column {
  df_shape shape;
  double value[];
} column;

df_shape dfl_shape_of(lua_State *L, int arg, df_int n) {
  const df_tensor *x = dfl_test(L, arg);
  return x ? x->shape : (df_shape){ .ndim = 1, .size = { n } };
}

double *dfl_column(lua_State *L, const df_shape *shape) {
  size_t n = (size_t)df_shape_count(shape);
  lua_settop(L, DFL_PLAN - 1);
  column *c = lua_newuserdatauv(L, sizeof *c + n * sizeof *c->value, 0);
  c->shape = *shape;
  return c->value;
}

static df_tensor *column_tensor(lua_State *L, df_tape *tape) {
  const column *c = lua_touserdata(L, DFL_PLAN);
  df_tensor *y = df_result(tape, &c->shape);
  if (y)
    for (df_int i = 0; i < df_tensor_count(y); i++)
      df_tensor_reals(y)[i] = (df_real)c->value[i];
  return y;
}

int dfl_push_column(lua_State *L, bool number) {
  if (!number) return dfl_run(L, column_tensor);
  lua_pushnumber(L, ((column *)lua_touserdata(L, DFL_PLAN))->value[0]);
  return 1;
}

/* ==== accessors ===================================================================== */

/* An accessor of one level, or of a step from s to t. `circle`: only for a^2 +
** s^2 = 1. */
typedef struct accessor {
  const char *name;
  double (*level)(df_level t);
  double (*step)(df_level t, df_level s);
  bool circle;
} accessor;

static double beta_of(df_level t, df_level s) {
  return df_transition_between(t, s).variance;
}
static double alpha_of(df_level t, df_level s) { return exp(2 * (t.ln_a - s.ln_a)); }
static double posterior_variance_of(df_level t, df_level s) {
  return df_posterior_between(t, s).variance;
}

/*** Schedule:signal, noise, sigma, snr, log_snr, alpha_bar
** signal: a_t of x_t = a_t x_0 + s_t eps.
** noise: s_t of x_t = a_t x_0 + s_t eps.
** sigma: s/a, the noise in units of the data.
** snr: The signal-to-noise ratio a^2/s^2.
** log_snr: ln(a^2/s^2).
** alpha_bar: a^2; an error unless a^2 + s^2 = 1.
** @param t number|number[]|diffusion.tensor in 0..T; at real t >= 1 ln SNR is
**   interpolated linearly, or given by the schedule's own function
** @return number|diffusion.tensor with the shape of the tensor t, or {B} for a list */

/*** Schedule:beta, alpha, posterior_variance
** beta: 1 - alpha_bar_t/alpha_bar_s for the step from s to t; an error unless
**   a^2 + s^2 = 1.
** alpha: alpha_bar_t/alpha_bar_s for the step from s to t; an error unless a^2 + s^2 =
**   1.
** posterior_variance: The variance of q(x_s | x_t, x_0) (Ho et al. 2020, eq. 7).
** @param t number|number[]|diffusion.tensor in 1..T
** @param s? number|number[]|diffusion.tensor 0 <= s < t; default t - 1
** @return number|diffusion.tensor */
static const accessor accessors[] = {
  { "signal", df_level_signal, NULL, false },
  { "noise", df_level_noise, NULL, false },
  { "sigma", df_level_sigma, NULL, false },
  { "snr", df_level_snr, NULL, false },
  { "log_snr", df_level_log_snr, NULL, false },
  { "alpha_bar", df_level_signal_variance, NULL, true },
  { "alpha", NULL, alpha_of, true },
  { "beta", NULL, beta_of, true },
  { "posterior_variance", NULL, posterior_variance_of, false },
  { NULL, NULL, NULL, false },
};

static void begin(lua_State *L) {
  dfl_schedule(L, 1);
  lua_settop(L, DFL_ARGS);
  lua_pushvalue(L, 1);
}

static int l_access(lua_State *L) {
  const accessor *a = lua_touserdata(L, lua_upvalueindex(1));
  begin(L);
  if (a->circle && !dfl_schedule(L, 1)->vp)
    return luaL_error(L,
                      "%s: this schedule has no %s, since a^2 + s^2 is not 1; it has "
                      "signal, noise, sigma and snr",
                      a->name, a->name);
  const dfl_levels *v = a->level ? dfl_levels_of(L, 2, 0, DFL_NO_S, DFL_S_CLEAN)
                                 : dfl_levels_of(L, 2, 1, 3, DFL_S_PREVIOUS);
  double *y = dfl_column(L, &v->shape);
  for (df_int i = 0; i < v->n; i++)
    y[i] = a->level ? a->level(v->t[i]) : a->step(v->t[i], v->s[i]);
  return dfl_push_column(L, v->number);
}

/* If the schedule has its own function, sigma(t) between integers is found by
** bisection. */
static double bisect(lua_State *L, double low, double sigma) {
  double high = low + 1;
  for (int i = 0; i < 60; i++) {
    double middle = 0.5 * (low + high);
    if (middle == low || middle == high) break;
    if (df_level_sigma(level_at(L, 2, middle)) <= sigma) low = middle;
    else high = middle;
  }
  return low;
}

/*** Schedule:level_of_sigma
** The real t at which s/a = sigma.
** @param sigma number|number[]|diffusion.tensor 0, or from sigma(1) to sigma(T)
** @return number|diffusion.tensor */
static int l_level_of_sigma(lua_State *L) {
  df_int n;
  begin(L);
  bool number = lua_type(L, 2) == LUA_TNUMBER;
  lua_settop(L, DFL_LEVELS);
  const double *sigma = numbers(L, 2, &n);
  lua_replace(L, DFL_LEVELS); /* keeps its memory on the stack */
  bool own = lua_getiuservalue(L, DFL_SCHEDULE, OWN) == LUA_TFUNCTION;
  df_shape shape = dfl_shape_of(L, 2, n);
  double *t = dfl_column(L, &shape);
  for (df_int i = 0; i < n; i++) {
    if (df_schedule_find(dfl_schedule(L, 1), sigma[i], own, &t[i]))
      return luaL_argerror(L, 2, df_error_text());
    if (own && t[i] != floor(t[i])) t[i] = bisect(L, floor(t[i]), sigma[i]);
  }
  lua_settop(L, DFL_PLAN);
  return dfl_push_column(L, number);
}

/* ==== whole schedules =============================================================== */

/*** Schedule:prior_std
** Standard deviation of the noise from which sampling starts: 1 if a^2 + s^2 = 1, else
** s_T.
** @return number */
static int l_prior_std(lua_State *L) {
  lua_pushnumber(L, df_schedule_prior_std(dfl_schedule(L, 1)));
  return 1;
}

/*** Schedule:prior_kl
** KL(q(x_T | x_0) || prior) per dimension, in bits: the information about x_0 that
** remains at T.
** @param x? number |x_0|, default 1
** @return number */
static int l_prior_kl(lua_State *L) {
  const double ln2 = 0.69314718055994531;
  lua_pushnumber(L,
                 df_schedule_prior_kl(dfl_schedule(L, 1), luaL_optnumber(L, 2, 1)) / ln2);
  return 1;
}

/*** Schedule:is_vp
** True if a^2 + s^2 = 1 at every level.
** @return boolean */
static int l_is_vp(lua_State *L) {
  lua_pushboolean(L, dfl_schedule(L, 1)->vp);
  return 1;
}

/*** Schedule:columns
** The two columns of the schedule: ln a_t and ln s_t for t = 1..T.
** @return number[] ln_a
** @return number[] ln_s */
static int l_columns(lua_State *L) {
  const df_schedule *s = dfl_schedule(L, 1);
  lua_createtable(L, (int)s->T, 0);
  lua_createtable(L, (int)s->T, 0);
  for (df_int t = 1; t <= s->T; t++) {
    lua_pushnumber(L, s->level[t].ln_a);
    lua_rawseti(L, -3, t);
    lua_pushnumber(L, s->level[t].ln_s);
    lua_rawseti(L, -2, t);
  }
  return 2;
}

/* Pushes a box without a schedule, which the caller attaches. The name is at `name`. */
static box *push_box(lua_State *L, int name) {
  box *b = lua_newuserdatauv(L, sizeof *b, 2);
  *b = (box){ NULL, DF_FROM_BETA, false };
  luaL_setmetatable(L, DFL_SCHEDULE_BOX);
  lua_pushvalue(L, name);
  lua_setiuservalue(L, -2, NAME);
  return b;
}

static int answer(lua_State *L, box *b, df_schedule *s) {
  b->schedule = s;
  return s ? 1 : dfl_nil(L);
}

/* (name, source, numbers, max_beta [, own function]) -> schedule, or nil, message */
static int l_schedule_from(lua_State *L) {
  df_int T;
  df_source source;
  lua_settop(L, 5);
  luaL_argcheck(L, df_source_find(luaL_checkstring(L, 2), &source), 2, "no such source");
  double max_beta = luaL_checknumber(L, 4);
  const double *value = dfl_doubles(L, 3, &T);
  box *b = push_box(L, 1);
  b->source = source;
  b->schedule = df_schedule_from(source, value, T, max_beta);
  if (!b->schedule) return dfl_nil(L);
  if (!b->schedule->limited && source != DF_FROM_BETA) {
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, -2, OWN);
  }
  return 1;
}

/* Functions of formulas that Lua's math library lacks. */
static int l_sinh(lua_State *L) {
  lua_pushnumber(L, sinh(luaL_checknumber(L, 1)));
  return 1;
}

static int l_cosh(lua_State *L) {
  lua_pushnumber(L, cosh(luaL_checknumber(L, 1)));
  return 1;
}

/* (name, ln a, ln s, vp [, own function]) -> schedule, or nil, message */
static int l_schedule_columns(lua_State *L) {
  df_int T, other;
  lua_settop(L, 5);
  const double *ln_a = dfl_doubles(L, 2, &T), *ln_s = dfl_doubles(L, 3, &other);
  luaL_argcheck(L, T == other && T > 0, 3, "columns of different lengths");
  df_level *level = lua_newuserdatauv(L, (size_t)T * sizeof *level, 0);
  for (df_int i = 0; i < T; i++) level[i] = (df_level){ ln_a[i], ln_s[i] };
  box *b = push_box(L, 1);
  b->columns = true;
  lua_pushvalue(L, 5);
  lua_setiuservalue(L, -2, OWN);
  return answer(L, b, df_schedule_from_levels(level, T, lua_toboolean(L, 4)));
}

/* (schedule, name) -> schedule, or nil, message */
static int l_schedule_zero_terminal(lua_State *L) {
  const df_schedule *s = dfl_schedule(L, 1);
  lua_settop(L, 2);
  box *b = push_box(L, 2);
  return answer(L, b, df_schedule_zero_terminal(s));
}

/* ==== the metatable ================================================================= */

static int l_index(lua_State *L) {
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "T") == 0) lua_pushinteger(L, dfl_schedule(L, 1)->T);
  else if (strcmp(key, "name") == 0) lua_getiuservalue(L, 1, NAME);
  else lua_gettable(L, lua_upvalueindex(1)); /* the key is on top */
  return 1;
}

static int l_gc(lua_State *L) {
  box *b = luaL_checkudata(L, 1, DFL_SCHEDULE_BOX);
  df_schedule *schedule = b->schedule;
  b->schedule = NULL;
  df_schedule_free(schedule);
  return 0;
}

static const luaL_Reg methods[] = {
  { "level_of_sigma", l_level_of_sigma },
  { "prior_std", l_prior_std },
  { "prior_kl", l_prior_kl },
  { "is_vp", l_is_vp },
  { "columns", l_columns },
  { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "schedule_from", l_schedule_from },
  { "schedule_columns", l_schedule_columns },
  { "schedule_zero_terminal", l_schedule_zero_terminal },
  { "sinh", l_sinh },
  { "cosh", l_cosh },
  { NULL, NULL },
};

static void push_methods(lua_State *L) {
  static const luaL_Reg access = { "accessor", l_access };
  lua_newtable(L);
  dfl_set_functions(L, methods);
  for (const accessor *a = accessors; a->name; a++) {
    lua_pushlightuserdata(L, (void *)a);
    dfl_push_function(L, &access);
    dfl_name_function(L, a->name);
    lua_setfield(L, -2, a->name);
  }
}

void dfl_open_schedule(lua_State *L) {
  static const luaL_Reg index = { "__index", l_index };
  dfl_functions(L, functions);
  luaL_newmetatable(L, DFL_SCHEDULE_BOX);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  push_methods(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods"); /* schedule.lua adds more */
  dfl_push_function(L, &index);
  lua_setfield(L, -2, "__index");
  lua_getfield(L, LUA_REGISTRYINDEX, DFL_CORE);
  lua_insert(L, -2);
  lua_setfield(L, -2, "schedule_meta");
  lua_pop(L, 1);
}
