/* The optimiser and averages for Lua. lua/diffusion/optim.lua defines the public
** interface. */
#include "nn/optim.h"

#include <math.h>

#include "binding/lmodel.h"
#include "ops/profile.h"

#define DFL_EMA   "diffusion.core_ema"
#define DFL_OPTIM "diffusion.core_optim"

/* ==== averages ====================================================================== */

typedef struct ema_box {
  df_ema *ema;
} ema_box;

static df_ema *check_ema(lua_State *L, int arg) {
  const ema_box *b = luaL_checkudata(L, arg, DFL_EMA);
  return dfl_living(L, arg, b->ema);
}

static int l_ema_gc(lua_State *L) {
  ema_box *b = luaL_checkudata(L, 1, DFL_EMA);
  df_ema *ema = b->ema;
  b->ema = NULL;
  df_ema_free(ema);
  return 0;
}

/* ema(buffer) */
static int l_ema(lua_State *L) {
  df_home *home = dfl_home(L, 1);
  ema_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->ema = NULL;
  luaL_setmetatable(L, DFL_EMA);
  dfl_collect(L);
  b->ema = df_ema_new(home);
  return b->ema ? 1 : dfl_raise(L);
}

/* swap(): an average that is to be read follows what was unfrozen first. */
static int l_ema_swap(lua_State *L) {
  df_ema *e = check_ema(L, 1);
  if (!e->home->lent && df_ema_follow(e) != DF_OK) return dfl_raise(L);
  df_ema_swap(e);
  return 0;
}

static int l_ema_update(lua_State *L) {
  return df_ema_update(check_ema(L, 1)) == DF_OK ? 0 : dfl_raise(L);
}

/* rate(r): the fraction of the average that the next update keeps */
static int l_ema_rate(lua_State *L) {
  check_ema(L, 1)->rate = luaL_checknumber(L, 2);
  return 0;
}

/* updates([n]): returns the number of updates, and sets it */
static int l_ema_updates(lua_State *L) {
  df_ema *e = check_ema(L, 1);
  if (!lua_isnoneornil(L, 2)) e->updates = luaL_checkinteger(L, 2);
  lua_pushinteger(L, e->updates);
  return 1;
}

static int l_ema_value(lua_State *L) {
  df_ema *e = check_ema(L, 1);
  const int i = (int)dfl_position(L, 2, e->home->n, "a model");
  if (!e->home->lent && df_ema_follow(e) != DF_OK) return dfl_raise(L);
  dfl_push(L, df_ema_value(e, i));
  return 1;
}

/* ==== adamw ========================================================================= */

typedef struct optim_box {
  df_optim *optim;
} optim_box;

static df_optim *check_optim(lua_State *L, int arg) {
  const optim_box *b = luaL_checkudata(L, arg, DFL_OPTIM);
  return dfl_living(L, arg, b->optim);
}

static int l_optim_gc(lua_State *L) {
  optim_box *b = luaL_checkudata(L, 1, DFL_OPTIM);
  df_optim *optim = b->optim;
  b->optim = NULL;
  df_optim_free(optim);
  return 0;
}

/* Reads the list at `arg` into a new userdata, left on the stack. */
static int *integers(lua_State *L, int arg) {
  lua_Integer n = luaL_len(L, arg);
  int *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, arg, i);
    list[i - 1] = (int)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

/* adamw(list of parameter buffers, group of each of their parameters, from 0) */
static int l_adamw(lua_State *L) {
  const int *group = integers(L, 2);
  int homes;
  df_home **home = dfl_homes(L, 1, &homes);
  optim_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->optim = NULL;
  luaL_setmetatable(L, DFL_OPTIM);
  b->optim = df_optim_new(home, homes, group);
  return b->optim ? 1 : dfl_raise(L);
}

/* Reads the averages in the list at `arg`, in a userdata left on the stack. */
static df_ema **averages(lua_State *L, int arg, int *n) {
  *n = (int)luaL_len(L, arg);
  df_ema **list = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *list, 0);
  for (int i = 1; i <= *n; i++, lua_pop(L, 1)) {
    lua_geti(L, arg, i);
    list[i - 1] = check_ema(L, -1);
  }
  return list;
}

/* A finite double may be too large for a real. */
static double check_real(lua_State *L, int index, const char *what) {
  double value = luaL_checknumber(L, index);
  if (!isfinite((df_real)value))
    luaL_error(L, "adamw: the %s %f is too large for %s", what, value,
               df_dtype_name(DF_REAL));
  return value;
}

static df_group *groups(lua_State *L, int lr, int decay) {
  lua_Integer n = luaL_len(L, lr);
  df_group *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 2)) {
    lua_geti(L, lr, i);
    lua_geti(L, decay, i);
    list[i - 1] = (df_group){ check_real(L, -2, "learning rate"),
                              check_real(L, -1, "weight decay") };
  }
  return list;
}

/* optim:step(options, rates, decays, averages) -> norm; options has beta1, beta2,
** epsilon, clip and mean */
static int l_step(lua_State *L) {
  df_optim *o = check_optim(L, 1);
  df_step step = { .beta1 = dfl_field_number(L, 2, "beta1", 0),
                   .beta2 = dfl_field_number(L, 2, "beta2", 0),
                   .tiny = dfl_field_number(L, 2, "epsilon", 0),
                   .clip = dfl_field_number(L, 2, "clip", 0),
                   .mean = dfl_field_flag(L, 2, "mean", false) };
  double norm = 0;
  step.group = groups(L, 3, 4);
  step.ema = averages(L, 5, &step.emas);
  dfl_collect(L);
  if (df_optim_step(o, &step, &norm) != DF_OK) return dfl_raise(L);
  df_profile_spent(dfl_tape(L), "adamw step");
  lua_pushnumber(L, norm);
  return 1;
}

static int l_zero(lua_State *L) {
  df_optim_zero(check_optim(L, 1));
  return 0;
}

static int l_steps(lua_State *L) {
  df_optim *o = check_optim(L, 1);
  if (!lua_isnoneornil(L, 2)) o->steps = luaL_checkinteger(L, 2);
  lua_pushinteger(L, o->steps);
  return 1;
}

static int l_slices(lua_State *L) {
  lua_pushinteger(L, check_optim(L, 1)->slices);
  return 1;
}

static void push_moment(lua_State *L, df_storage *vector, const df_slice *s) {
  df_tensor *x = df_tensor_on(vector, DF_REAL, &s->param->shape, s->at);
  if (!df_scope_own(dfl_tape(L), x)) dfl_raise(L);
  dfl_push(L, x);
}

/* shard(link): keeps a part of the moments */
static int l_shard(lua_State *L) {
  df_optim *o = check_optim(L, 1);
  luaL_checktype(L, 2, LUA_TLIGHTUSERDATA);
  return df_optim_shard(o, lua_touserdata(L, 2)) == DF_OK ? 0 : dfl_raise(L);
}

/* whole(): all moments are here, until part() */
static int l_whole(lua_State *L) {
  return df_optim_whole(check_optim(L, 1)) == DF_OK ? 0 : dfl_raise(L);
}

static int l_part(lua_State *L) {
  return df_optim_part(check_optim(L, 1)) == DF_OK ? 0 : dfl_raise(L);
}

/* optim:moments(i) -> name, first and second moments of parameter i, from 1 */
static int l_moments(lua_State *L) {
  df_optim *o = check_optim(L, 1);
  const df_slice *s = &o->slice[dfl_position(L, 2, o->slices, "an optimiser")];
  lua_pushstring(L, s->param->name);
  push_moment(L, o->m, s);
  push_moment(L, o->v, s);
  return 3;
}

/* ==== registration ================================================================== */

static const luaL_Reg ema_methods[] = {
  { "swap", l_ema_swap },       { "update", l_ema_update }, { "rate", l_ema_rate },
  { "updates", l_ema_updates }, { "value", l_ema_value },   { NULL, NULL },
};

static const luaL_Reg optim_methods[] = {
  { "step", l_step },     { "zero", l_zero },       { "steps", l_steps },
  { "slices", l_slices }, { "moments", l_moments }, { "shard", l_shard },
  { "whole", l_whole },   { "part", l_part },       { NULL, NULL },
};

static const luaL_Reg functions[] = {
  { "ema", l_ema },
  { "adamw", l_adamw },
  { NULL, NULL },
};

void dfl_open_optim(lua_State *L) {
  dfl_functions(L, functions);
  dfl_new_type(L, DFL_EMA, l_ema_gc, NULL, ema_methods);
  dfl_new_type(L, DFL_OPTIM, l_optim_gc, NULL, optim_methods);
}
