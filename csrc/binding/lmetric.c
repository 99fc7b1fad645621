/* Building blocks of metrics. lua/diffusion/metric has checked the sets. */
#include <string.h>

#include "binding/binding.h"
#include "ops/metric.h"

static df_tensor *rows(lua_State *L, int arg, int ndim) {
  df_tensor *x = dfl_tensor(L, arg);
  if (x->shape.ndim != ndim || df_tensor_count(x) == 0)
    luaL_argerror(L, arg, "rows of samples, or their moments, expected");
  return x;
}

/* Reads dense reals {n,D}. */
static df_tensor *samples(lua_State *L, int arg) {
  df_tensor *x = rows(L, arg, 2);
  if (x->dtype != DF_REAL || !df_tensor_is_dense(x) || x->form != DF_ROWS)
    luaL_argerror(L, arg, "dense samples expected");
  return x;
}

static df_tensor *make_squares(lua_State *L, df_tape *tape) {
  return df_pair_squares(tape, rows(L, 1, 2), rows(L, 2, 2));
}

/* pair_squares(x {n,D}, y {m,D}) -> {n,m} */
static int l_pair_squares(lua_State *L) {
  if (rows(L, 1, 2)->shape.size[1] != rows(L, 2, 2)->shape.size[1])
    luaL_argerror(L, 2, "samples of other sizes");
  return dfl_run(L, make_squares);
}

static df_pair_function function_of(lua_State *L, int arg) {
  static const char *const names[] = { "distance", "gauss", "cubic", NULL };
  df_pair_function k = { .kind = (df_pair_kind)luaL_checkoption(L, arg, NULL, names) };
  if (k.kind != DF_PAIR_GAUSS) return k;
  df_int count;
  k.width = dfl_doubles(L, arg + 1, &count);
  k.widths = (int)count;
  return k;
}

static df_tensor *make_sums(lua_State *L, df_tape *tape) {
  df_pair_function k = function_of(L, 3);
  df_tensor *labelled = NULL, *labels = dfl_tensor_or_nil(L, 5);
  df_int n = (df_int)luaL_checkinteger(L, 2);
  df_tensor *sums = df_pair_sums(tape, rows(L, 1, 2), n, &k, labels, &labelled);
  if (sums) dfl_push(L, labelled);
  return sums;
}

/* pair_sums(z {N,D}, n, name, widths or nil [, labels {P,N}]) -> doubles {4,N}, {P,2} */
static int l_pair_sums(lua_State *L) {
  lua_settop(L, 5);
  df_int N = rows(L, 1, 2)->shape.size[0];
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n >= 0 && n <= N, 2, "more samples than there are");
  if (!lua_isnil(L, 5) && rows(L, 5, 2)->shape.size[1] != N)
    luaL_argerror(L, 5, "a label for each sample expected");
  dfl_run(L, make_sums);
  lua_pushvalue(L, -2);
  return 2;
}

/* Reads samples and nil, or a mean and a covariance, from `arg` on. */
static df_gaussian gaussian(lua_State *L, int arg) {
  if (lua_isnil(L, arg + 1)) return (df_gaussian){ samples(L, arg), NULL };
  return (df_gaussian){ rows(L, arg, 1), rows(L, arg + 1, 2) };
}

static df_tensor *make_frechet(lua_State *L, df_tape *tape) {
  df_gaussian a = gaussian(L, 1), b = gaussian(L, 3);
  return df_frechet(tape, &a, &b);
}

static df_int width(const df_gaussian *g) { return g->x->shape.size[g->cov ? 0 : 1]; }

/* frechet(x {n,D}, nil | mean {D}, cov {D,D}, and the same for the other set) -> a double
** {1} */
static int l_frechet(lua_State *L) {
  lua_settop(L, 4);
  df_gaussian a = gaussian(L, 1), b = gaussian(L, 3);
  if (width(&a) != width(&b)) luaL_argerror(L, 3, "samples of other sizes");
  return dfl_run(L, make_frechet);
}

static const luaL_Reg functions[] = {
  { "pair_squares", l_pair_squares },
  { "pair_sums", l_pair_sums },
  { "frechet", l_frechet },
  { NULL, NULL },
};

void dfl_open_metric(lua_State *L) { dfl_functions(L, functions); }
